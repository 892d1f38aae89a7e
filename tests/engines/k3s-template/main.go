// Command k3s-template prints what k3s makes of a template: k3s-template BASE TEMPLATE. BASE is what the template names "base".
package main

import (
	"os"
	"text/template"
)

func main() {
	base, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	text, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	rendered := template.Must(template.New("compiled_template").Parse(string(text)))
	template.Must(rendered.New("base").Parse(string(base)))
	// Of all that k3s gives a template, what ours and the test's base use.
	config := struct {
		SystemdCgroup bool
		ExtraRuntimes map[string]string
	}{true, map[string]string{"nvidia": "/usr/bin/nvidia-container-runtime"}}
	if err := rendered.Execute(os.Stdout, config); err != nil {
		panic(err)
	}
}
