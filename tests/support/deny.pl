# Denies what AppArmor was reported to deny: deny.pl PATTERN COMMAND...
# COMMAND and all it starts get EACCES for opening a file of any procfs for writing whose path matches PATTERN; nobody else is
# concerned. The path is the kernel's: a file of a procfs that is mounted nowhere has /sys/net/... for one, which is why AppArmor
# takes it for one of sysfs.
#
# It stands in for a security module where none is active: seccomp asks this process at each open(2), openat(2) and openat2(2)
# for writing. Needs root and Linux >= 5.6 on x86_64. Ends as COMMAND does.
use strict;
use warnings;
use Fcntl;
use POSIX ();

my ($pattern, @command) = @ARGV;
# System calls of x86_64, and what is in no module of perl's.
my ($OPEN, $FSTATFS, $OPENAT, $SETNS, $SECCOMP, $PIDFD_OPEN, $OPENAT2, $PIDFD_GETFD) = (2, 138, 257, 308, 317, 434, 437, 438);
my ($SET_MODE_FILTER, $NEW_LISTENER, $RECEIVE, $ANSWER, $CONTINUE) = (1, 8, 0xc0502100, 0xc0182101, 1);
my ($O_PATH, $AT_FDCWD, $EACCES, $PROC_SUPER_MAGIC) = (010000000, -100, 13, 0x9fa0);

# Puts a filter on this process and what it starts; gives the descriptor by which another is asked.
sub listener {
    my ($LOAD, $IS, $HAS, $RETURN, $ASK, $ALLOW) = (0x20, 0x15, 0x45, 0x06, 0x7fc00000, 0x7fff0000);
    # Of each: where to go on if so and if not, counted from the next. Arguments are 8 bytes each, from 16 on.
    my $code = join '', map { pack('S C C L', @$_) } (
        [$LOAD, 0, 0, 0],
        [$IS, 3, 0, $OPEN],
        [$IS, 4, 0, $OPENAT],
        # Its flags are in memory.
        [$IS, 5, 0, $OPENAT2],
        [$RETURN, 0, 0, $ALLOW],
        [$LOAD, 0, 0, 16 + 8 * 1],
        [$HAS, 2, 3, O_WRONLY | O_RDWR],
        [$LOAD, 0, 0, 16 + 8 * 2],
        [$HAS, 0, 1, O_WRONLY | O_RDWR],
        [$RETURN, 0, 0, $ASK],
        [$RETURN, 0, 0, $ALLOW],
    );
    return syscall($SECCOMP, $SET_MODE_FILTER, $NEW_LISTENER, pack('S x6 P', length($code) / 8, $code));
}

# A descriptor of the process that `pid` is a thread of, as one of ours.
sub copied {
    my ($pid, $number) = @_;
    open(my $status, '<', "/proc/$pid/status") or return -1;
    my ($leader) = map { /^Tgid:\s+(\d+)/ } <$status>;
    my $process = syscall($PIDFD_OPEN, $leader + 0, 0);
    my $copy = syscall($PIDFD_GETFD, $process, $number, 0);
    POSIX::close($process);
    return $copy;
}

# What the process `pid` has at `address`; zeros for what cannot be read.
sub memory {
    my ($pid, $address, $length) = @_;
    my $bytes = '';
    if (open(my $memory, '<:raw', "/proc/$pid/mem")) {
        sysseek($memory, $address, 0);
        sysread($memory, $bytes, $length);
    }
    return length $bytes ? $bytes : "\0" x 8;
}

# Whether `path`, which the process `pid` is about to open in its folder `at`, is a file that is denied.
sub is_denied {
    my ($pid, $at, $path) = @_;
    # A look from another network namespace would give the keys of this one new entries, beside those that are mounted on.
    open(my $network, '<', "/proc/$pid/ns/net") or return 0;
    syscall($SETNS, fileno $network, 0);
    my $folder;
    if ($at == $AT_FDCWD || $path =~ m{^/}) {
        $path =~ s{^/proc/(self|thread-self)/}{/proc/$pid/};
        $path = $path =~ m{^/proc/$pid/} ? $path : "/proc/$pid/" . ($path =~ m{^/} ? 'root' : 'cwd/') . $path;
        $folder = $AT_FDCWD;
    } else {
        $folder = copied($pid, $at);
    }
    my $file = syscall($OPENAT, $folder, "$path\0", $O_PATH | O_NONBLOCK);
    POSIX::close($folder) if $folder >= 0;
    return 0 if $file < 0;
    my $stat = "\0" x 120;
    syscall($FSTATFS, $file, $stat);
    my $shown = readlink("/proc/self/fd/$file") // '';
    POSIX::close($file);
    return unpack('q', $stat) == $PROC_SUPER_MAGIC && $shown =~ /$pattern/;
}

# Answers what is asked until the last process with the filter has ended.
sub serve {
    my ($listener) = @_;
    open(my $asked, '+<&=', $listener) or die "deny: $!\n";
    while (1) {
        my $notice = "\0" x 80;
        unless (ioctl($asked, $RECEIVE, $notice)) {
            # The one who asked was killed, or all have ended.
            next if $!{EINTR} || $!{ENOENT};
            return;
        }
        my ($id, $pid, $call, @arguments) = unpack('Q L x4 l x4 x8 Q6', $notice);
        my ($at, $address) = $call == $OPEN ? ($AT_FDCWD, $arguments[0]) : (unpack('l', pack('Q', $arguments[0])), $arguments[1]);
        my $path = unpack('Z*', memory($pid, $address, 4096));
        my $writes = $call != $OPENAT2 || unpack('Q', memory($pid, $arguments[2], 8)) & (O_WRONLY | O_RDWR);
        my $denied = $writes && is_denied($pid, $at, $path);
        my $answer = pack('Q q l L', $id, 0, $denied ? -$EACCES : 0, $denied ? 0 : $CONTINUE);
        ioctl($asked, $ANSWER, $answer);
    }
}

pipe(my $told, my $tell) && pipe(my $ready, my $go) or die "deny: $!\n";
my $child = fork() // die "deny: $!\n";
unless ($child) {
    my $listener = listener();
    syswrite($tell, $listener >= 0 ? "$listener\n" : "seccomp: $!\n");
    sysread($ready, my $byte, 1);
    exec { $command[0] } @command or die "deny: $command[0]: $!\n";
}
my $number = <$told>;
$number =~ /^\d+$/ or die "deny: $number";
# A string would be passed by its address.
my $listener = copied($child, $number + 0);
$listener >= 0 or die "deny: pidfd_getfd: $!\n";
my $server = fork() // die "deny: $!\n";
unless ($server) {
    serve($listener);
    exit 0;
}
syswrite($go, '.');
waitpid($child, 0);
my $status = $?;
kill 'KILL', $server;
waitpid($server, 0);
exit($status & 127 ? 128 + ($status & 127) : $status >> 8);
