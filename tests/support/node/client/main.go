// Command node-client asks a Kubernetes node what crictl and kubectl would ask it, neither of which can be had everywhere.
//
//	node-client cri SOCKET METHOD < REQUEST   one call of the CRI, as JSON; prints the response as JSON
//	node-client get URL                       what the kubelet answers to a GET
//	node-client exec URL COMMAND...           runs COMMAND by the kubelet's /exec/NAMESPACE/POD/CONTAINER; its exit code
//
// The kubelet's certificate is not verified: a test's kubelet signs its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
	_ "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Of the client and of the kubelet alike: as long as a container may take to start or to stop.
const limit = 60 * time.Second

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := errors.New("expected cri SOCKET METHOD, get URL or exec URL COMMAND...")
	if len(os.Args) > 2 {
		switch args := os.Args[2:]; {
		case os.Args[1] == "cri" && len(args) == 2:
			err = cri(ctx, args[0], args[1])
		case os.Args[1] == "get" && len(args) == 1:
			err = get(ctx, args[0])
		case os.Args[1] == "exec" && len(args) > 1:
			err = exec(ctx, args[0], args[1:])
		}
	}
	var exit utilexec.CodeExitError
	if errors.As(err, &exit) {
		os.Exit(exit.Code)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "node-client:", err)
		os.Exit(125)
	}
}

// cri calls METHOD of the RuntimeService with the request that standard input has.
func cri(ctx context.Context, socket, method string) error {
	name := protoreflect.FullName("runtime.v1.RuntimeService." + method)
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	described, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return fmt.Errorf("%s is no method", name)
	}
	request, err := message(described.Input())
	if err != nil {
		return err
	}
	response, err := message(described.Output())
	if err != nil {
		return err
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	if err := protojson.Unmarshal(text, request); err != nil {
		return fmt.Errorf("the request: %w", err)
	}
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.Invoke(ctx, "/runtime.v1.RuntimeService/"+method, request, response); err != nil {
		return err
	}
	fmt.Println(protojson.Format(response))
	return nil
}

// message is an empty one of the type that DESCRIBED is.
func message(described protoreflect.MessageDescriptor) (protoreflect.ProtoMessage, error) {
	found, err := protoregistry.GlobalTypes.FindMessageByName(described.FullName())
	if err != nil {
		return nil, err
	}
	return found.New().Interface(), nil
}

var config = rest.Config{TLSClientConfig: rest.TLSClientConfig{Insecure: true}, Timeout: limit}

func get(ctx context.Context, address string) error {
	client, err := rest.HTTPClientFor(&config)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(os.Stdout, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

func exec(ctx context.Context, address string, command []string) error {
	target, err := url.Parse(address)
	if err != nil {
		return err
	}
	target.RawQuery = url.Values{"command": command, "output": {"1"}, "error": {"1"}}.Encode()
	executor, err := remotecommand.NewSPDYExecutor(&config, http.MethodPost, target)
	if err != nil {
		return err
	}
	return executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: os.Stdout, Stderr: os.Stderr})
}
