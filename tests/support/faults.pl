# Makes each system call of a program fail in turn: faults.pl COMMAND...
#
# First COMMAND runs as it is and its calls are counted, those of our programs alone, and not what the loader and Rust's runtime
# do before `main`. Then it runs again for each of these calls, and for each errno below. Every run ends in one of two ways:
# - it fails: with one line of ours on standard error, nothing on standard output, and what $LOOK (bash) prints is what it was;
# - it succeeds: then $AFTER (bash) has to succeed, which sees whether the result is right ($OUT is its standard output) and puts
#   everything back; what $LOOK prints has to be what it was.
# (With $TALKS the line is one of several, and in cases like $ITS_OWN, `call turn errno`, it is a runtime's own.)
# Says what was otherwise, each different error, and how many runs there were. With $EVERY = n only each n-th run is made, from the
# $FIRST-th on. Calls in $LACKING (with commas) answer ENOSYS all the time.
#
# With $KILLS = n there are n runs, each with SIGKILL at a random call instead: to the caller, or to all that the command has started and
# that has not left its process group. $SEED makes them others. $AFTER follows whatever the end.
#
# seccomp asks this process at each call. Needs root and Linux >= 5.6 on x86_64.
use strict;
use warnings;
use Errno;
use POSIX ();

# Number on x86_64, and the errnos of the man page that come from a fault or a refusal. Not ENOENT and the like, which are answers
# about what is there.
my %CALLS = map { my ($name, @rest) = split; $name => [@rest] } split /\n/, <<'END';
read 0 EIO ENOMEM EINTR
write 1 EIO ENOSPC EDQUOT EINTR
fstat 5 ENOMEM EOVERFLOW
lseek 8 EOVERFLOW
mmap 9 ENOMEM EAGAIN
mremap 25 ENOMEM
pread64 17 EIO ENOMEM
pwrite64 18 EIO EINVAL ENOSPC
access 21 ENOMEM EACCES
dup 32 EMFILE
dup2 33 EMFILE EINTR
socketpair 53 EMFILE ENFILE ENOMEM
sendmsg 46 ENOMEM ENOBUFS
recvmsg 47 ENOMEM
clone 56 EAGAIN ENOMEM ENOSPC EPERM
fork 57 EAGAIN ENOMEM
vfork 58 EAGAIN ENOMEM
execve 59 ENOMEM EACCES EPERM EIO E2BIG ENFILE EMFILE
wait4 61 EINTR ECHILD
fcntl 72 EMFILE ENOMEM EPERM
flock 73 EINTR ENOLCK
fsync 74 EIO ENOSPC EDQUOT
ftruncate 77 EIO EPERM EINTR
getcwd 79 ENOMEM EACCES
rename 82 EIO ENOSPC EACCES EROFS
mkdir 83 ENOSPC ENOMEM EACCES EROFS EDQUOT
unlink 87 EIO EACCES EROFS
readlink 89 EIO ENOMEM EACCES
fchmod 91 EIO EPERM EROFS
fchown 93 EIO EPERM EROFS
statfs 137 EIO ENOMEM EINTR
fstatfs 138 EIO ENOMEM EINTR
capget 125 EPERM
capset 126 EPERM
prctl 157 EINVAL EPERM
mount 165 ENOMEM EPERM EACCES EINVAL ENOSPC EBUSY ENODEV
umount2 166 ENOMEM EPERM EBUSY EINVAL
getdents64 217 EIO ENOMEM
waitid 247 EINTR ECHILD
close_range 436 EMFILE ENOMEM ENOSYS EPERM
openat 257 EMFILE ENFILE ENOMEM EACCES EPERM EINTR EIO
mkdirat 258 ENOSPC ENOMEM EACCES EROFS EDQUOT
mknodat 259 ENOSPC ENOMEM EACCES EPERM EDQUOT
newfstatat 262 ENOMEM EACCES EIO
unlinkat 263 EIO EACCES EROFS EBUSY
renameat 264 EIO ENOSPC EACCES EROFS
linkat 265 ENOSPC ENOMEM EACCES EPERM EDQUOT
symlinkat 266 ENOSPC ENOMEM EACCES EIO
readlinkat 267 EIO ENOMEM EACCES
fchmodat 268 EIO EPERM EROFS ENOMEM
unshare 272 ENOMEM ENOSPC EPERM EINVAL EUSERS
pipe2 293 EMFILE ENFILE
prlimit64 302 EPERM
setns 308 ENOMEM EPERM EINVAL
getrandom 318 EINTR ENOSYS
memfd_create 319 EMFILE ENFILE ENOMEM EACCES
execveat 322 ENOMEM EACCES EPERM EIO EMFILE
statx 332 ENOMEM EACCES EIO ENOSYS
open_tree 428 EMFILE ENOMEM ENOSPC EPERM EINVAL ENOSYS
move_mount 429 ENOMEM ENOSPC EPERM EINVAL EBUSY ENOSYS
fsopen 430 EMFILE ENOMEM EPERM ENODEV ENOSYS
fsconfig 431 ENOMEM EPERM EINVAL EBUSY ENOSYS
fsmount 432 EMFILE ENOMEM ENOSPC EPERM ENOSYS
pidfd_open 434 EMFILE ENFILE ENOMEM ENODEV EINVAL
clone3 435 EAGAIN ENOMEM ENOSYS
openat2 437 EMFILE ENOMEM EACCES EAGAIN ENOSYS
mount_setattr 442 ENOMEM EPERM EINVAL ENOSPC EBUSY ENOSYS
statmount 457 ENOMEM EPERM ENOENT EOVERFLOW ENOSYS
listmount 458 ENOMEM EPERM ENOENT ENOSYS
END

# Those that are not made to fail: close, poll, munmap, mprotect, brk (which answers no errno, and is followed by mmap), signals, sleep,
# getpid and the like, exit, uname, ids, prlimit of one's own, futex, affinity, clock. They cannot fail in a program that is not broken,
# or nobody could do anything about it.
my %NEVER = map { $_ => 1 } (
    3, 7, 10, 11, 12, 13, 14, 16, 24, 28, 39, 60, 102, 104, 107, 108, 110, 124, 131, 186, 202, 204, 218, 228, 231, 273, 334,
);
my ($EXECVE, $EXECVEAT, $SIGALTSTACK, $FCNTL, $F_GETFD, $F_GETFL) = (59, 322, 131, 72, 1, 3);
my ($SECCOMP, $PIDFD_OPEN, $PIDFD_GETFD) = (317, 434, 438);
my ($SET_MODE_FILTER, $NEW_LISTENER, $RECEIVE, $ANSWER, $CONTINUE) = (1, 8, 0xc0502100, 0xc0182101, 1);
my %NAMES = map { $CALLS{$_}[0] => $_ } keys %CALLS;
my @LACKING = map { $CALLS{$_}[0] } split /,/, $ENV{LACKING} // '';

sub listener {
    my ($only) = @_;
    my ($LOAD, $IS, $RETURN, $ERRNO, $ASK, $ALLOW) = (0x20, 0x15, 0x06, 0x50000 | Errno::ENOSYS, 0x7fc00000, 0x7fff0000);
    my @code = ([$LOAD, 0, 0, 0]);
    push @code, [$IS, 0, 1, $_], [$RETURN, 0, 0, $ERRNO] for @LACKING;
    if (defined $only) {
        push @code, [$IS, 0, 1, $_], [$RETURN, 0, 0, $ASK] for $only, $EXECVE, $EXECVEAT, $SIGALTSTACK;
        push @code, [$RETURN, 0, 0, $ALLOW];
    } else {
        push @code, [$RETURN, 0, 0, $ASK];
    }
    my $code = join '', map { pack('S C C L', @$_) } @code;
    return syscall($SECCOMP, $SET_MODE_FILTER, $NEW_LISTENER, pack('S x6 P', length($code) / 8, $code));
}

sub memory {
    my ($pid, $address) = @_;
    my $bytes = '';
    if (open(my $memory, '<:raw', "/proc/$pid/mem")) {
        sysseek($memory, $address, 0);
        sysread($memory, $bytes, 256);
    }
    return unpack('Z*', $bytes);
}

# Runs @ARGV, calls `each` with the number of each call of our programs' own, and answers the errno that it gives. With `only` no
# other call is looked at. Gives the exit status.
sub supervised {
    my ($only, $each) = @_;
    pipe(my $told, my $tell) or die "faults: $!\n";
    my $child = fork() // die "faults: $!\n";
    unless ($child) {
        open(STDIN, '<', $ENV{INPUT} // '/dev/null');
        open(STDOUT, '>', $ENV{OUT});
        open(STDERR, '>', $ENV{SAID});
        setpgrp;
        # Said beforehand: with the filter, nothing is said before somebody listens.
        my $next = POSIX::dup(0);
        POSIX::close($next);
        syswrite($tell, "$next\n");
        listener($only);
        exec { $ARGV[0] } @ARGV or POSIX::_exit(127);
    }
    close($tell);
    my $number = <$told>;
    $number =~ /^\d+$/ or die "faults: $number";
    my $process = syscall($PIDFD_OPEN, $child, 0);
    my $listener = -1;
    until ($listener >= 0) {
        waitpid($child, POSIX::WNOHANG) == 0 or die "faults: no seccomp filter\n";
        $listener = syscall($PIDFD_GETFD, $process, $number + 0, 0);
    }
    POSIX::close($process);
    open(my $asked, '+<&=', $listener) or die "faults: $!\n";
    # How many calls of sigaltstack are to come before `main`; -1 for another's program.
    my %starting = ();
    my $poll = '';
    vec($poll, fileno $asked, 1) = 1;
    my $status;
    while (1) {
        my $notice = "\0" x 80;
        unless (select(my $readable = $poll, undef, undef, 0.2)) {
            $status = $? if !defined $status && waitpid($child, POSIX::WNOHANG) == $child;
            # What it left behind, a container, goes on without us.
            last if defined $status;
            next;
        }
        unless (ioctl($asked, $RECEIVE, $notice)) {
            next if $!{EINTR};
            last unless $!{ENOENT};
            # The one who asked was killed; or all have ended.
            $status = $? if !defined $status && waitpid($child, POSIX::WNOHANG) == $child;
            last if defined $status;
            next;
        }
        my ($id, $pid, $call, @arguments) = unpack('Q L x4 l x4 x8 Q6', $notice);
        my $errno = 0;
        my $main = !$starting{$pid};
        if ($call == $EXECVE || $call == $EXECVEAT) {
            my $program = $call == $EXECVE ? memory($pid, $arguments[0]) : 'runtime-bridge';
            my $ours = $program =~ m{(^|/)(nsprep|runtime-bridge)$};
            $errno = $each->($call, $pid, $child) if $main && $pid != $child || $main && exists $starting{$pid};
            $starting{$pid} = $ours ? 2 : -1 unless $errno;
        } elsif ($call == $SIGALTSTACK && ($starting{$pid} // 0) > 0) {
            $starting{$pid}--;
        } elsif ($main && exists $starting{$pid} || $main && is_child($pid, \%starting)) {
            my $asks = $call == $FCNTL && ($arguments[1] == $F_GETFD || $arguments[1] == $F_GETFL);
            $errno = $each->($call, $pid, $child) unless $asks;
        }
        ioctl($asked, $ANSWER, pack('Q q l L', $id, 0, -$errno, $errno ? 0 : $CONTINUE));
    }
    close($asked);
    unless (defined $status) {
        waitpid($child, 0);
        $status = $?;
    }
    return $status;
}

# A process that we have not seen: what its parent is, it is too.
sub is_child {
    my ($pid, $starting) = @_;
    return $starting->{$pid} == 0 if exists $starting->{$pid};
    open(my $status, '<', "/proc/$pid/status") or return 0;
    my %of = map { /^(\w+):\s+(\d+)/ ? ($1 => $2) : () } <$status>;
    my $from = $of{Tgid} != $pid ? $of{Tgid} : $of{PPid};
    # One that only makes children may not have been seen either.
    is_child($from, $starting) if $from > 1;
    $starting->{$pid} = $starting->{$from} // -1;
    return $starting->{$pid} == 0;
}

sub look { my $text = `bash -c "\$LOOK" 2>&1`; return $text; }
# What is in one of two texts only.
sub difference {
    my ($was, $is) = map { { map { $_ => 1 } split /\n/ } } @_;
    return join '', map({ "- $_\n" } grep { !$is->{$_} } sort keys %$was), map({ "+ $_\n" } grep { !$was->{$_} } sort keys %$is);
}
sub file { open(my $file, '<', $_[0]) or return ''; local $/; return <$file> // ''; }

my $bed = $ENV{BED} or die "faults: \$BED is not set\n";
$ENV{OUT} //= "$bed/faults.out.$$";
$ENV{SAID} //= "$bed/faults.said.$$";
my $before = look();
my %count;
my $status = supervised(undef, sub { $count{$_[0]}++; return 0 });
$status == 0 or die "faults: fails without any: ", file($ENV{SAID});
sub after { return system('bash', '-euc', $ENV{AFTER}) == 0 }
after() or die "faults: wrong without any\n";
look() eq $before or die "faults: leaves something without any:\n", difference($before, look());

sub random_kills {
    my @points = map { my $call = $_; map { [$call, $_] } 1 .. $count{$call} } grep { !$NEVER{$_} } sort { $a <=> $b } keys %count;
    my %end = (all => 0, caller => 0, unmet => 0);
    for my $round (1 .. $ENV{KILLS}) {
        my ($call, $turn) = @{ $points[rand @points] };
        my $all = rand() < 0.5;
        my ($left, $killed) = ($turn, 'unmet');
        supervised($call, sub {
            my (undef, $pid, $group) = @_;
            return 0 if $_[0] != $call || --$left != 0;
            $killed = $all ? 'all' : 'caller';
            kill 'KILL', $all ? -$group : $pid;
            return 0;
        });
        $end{$killed}++;
        my $case = "round $round: " . ($NAMES{$call} // $call) . " $turn, $killed";
        after() or print "wrong: $case\n";
        my $now = look();
        next if $now eq $before;
        print "wrong: $case: left:\n", difference($before, $now);
        exit 1;
    }
    printf "%d runs: killed at one of %d calls: the caller %d times, all %d times, none %d times\n", $ENV{KILLS}, scalar @points,
        @end{qw(caller all unmet)};
    exit 0;
}

if ($ENV{KILLS}) {
    srand($ENV{SEED} // 1);
    random_kills();
}

my ($every, $first) = ($ENV{EVERY} // 1, $ENV{FIRST} // 0);
my ($at, %sum, %said, %errnos) = (0);
for my $call (sort { $a <=> $b } keys %count) {
    next if $NEVER{$call};
    my $name = $NAMES{$call} or do { print "wrong: call $call has no errnos here\n"; next };
    my (undef, @errnos) = @{ $CALLS{$name} };
    $sum{calls} += $count{$call};
    for my $turn (1 .. $count{$call}) {
        for my $errno (@errnos) {
            next if $at++ % $every != $first;
            my ($left, $hit) = ($turn, 0);
            my $status = supervised($call, sub {
                return 0 if $_[0] != $call || --$left != 0;
                $hit = 1;
                return Errno->$errno();
            });
            my $case = "$name $turn $errno";
            $sum{runs}++;
            $errnos{$errno} = 1;
            my @lines = split /\n/, file($ENV{SAID});
            if (!$hit) {
                $sum{unmet}++;
            }
            if ($status == 0) {
                $sum{succeeded}++;
                after() or print "wrong: $case: succeeded, and not right: @lines\n";
            } else {
                $sum{failed}++;
                # Behind a runtime our line is among its own.
                my $its_own = defined $ENV{ITS_OWN} && $case =~ /$ENV{ITS_OWN}/;
                my @ours = grep { $its_own || /(nsprep|runtime-bridge): |memory allocation of/ } @lines;
                print "wrong: $case: more or less than a line (status $status): @lines\n" if @ours == 0 || !$ENV{TALKS} && @lines != 1;
                print "wrong: $case: printed: ", file($ENV{OUT}), "\n" if -s $ENV{OUT};
                $said{"$name: $ours[0]"} = 1 if @ours && !$its_own;
            }
            my $now = look();
            if ($now ne $before) {
                print "wrong: $case: left (status $status, @lines):\n", difference($before, $now);
                exit 1;
            }
        }
    }
}
print "said $_\n" for sort keys %said;
printf "%d runs: each of %d calls (%d kinds) with %d errnos; %d failed, %d succeeded, %d met no fault\n", $sum{runs}, $sum{calls},
    scalar(grep { !$NEVER{$_} } keys %count), scalar(keys %errnos), $sum{failed} // 0, $sum{succeeded} // 0, $sum{unmet} // 0;
