#!/usr/bin/perl
# A runtime of some day that tells what it was started with, on standard output or in the file $RECORD. To compare: $LAUNCHER is the
# pid of who called for it, $SELF the one that it should have.
use strict;

sub text {
    open my $file, '<', shift or return 'none';
    local $/;
    return <$file> // '';
}

sub lines { return grep { $_ =~ $_[1] } split /^/, text($_[0]); }

# For those who ask for the version.
print +(split m{/}, $0)[-1], " version 1.1.5\n";
if ($ENV{RECORD}) {
    open my $record, '>', $ENV{RECORD} or die;
    select $record;
}
print map { "argument $_\n" } @ARGV;
print map { "variable $_\n" } grep { !/^(SELF|LAUNCHER|_)=/ } sort split /\0/, text('/proc/self/environ');
print lines('/proc/self/status', qr/^(Umask|Groups|Uid|Gid|Sig(Pnd|Blk|Ign|Cgt)|ShdPnd|Cap|NoNewPrivs|Seccomp|Cpus_allowed:)/);
print map { "$_ " . text("/proc/self/$_") . "\n" } qw(limits oom_score_adj cgroup coredump_filter personality timerslack_ns loginuid);
my (undef, $parent, $group, $session, $terminal, $foreground, @rest) = split / /, (split /\) /, text('/proc/self/stat'))[1];
print "nice $rest[10], policy $rest[32]\n";
print 'pid ', $$ == $ENV{SELF} ? 'kept' : 'another', ', parent ', $parent == $ENV{LAUNCHER} ? 'kept' : 'another', "\n";
print 'leads its group ', $group == $$, ', its session ', $session == $$, ', has a terminal ', $terminal != 0,
    ', in the foreground ', $foreground == $group, "\n";
print 'children: ', text("/proc/self/task/$$/children"), "\n";
print map { "$_ " . readlink("/proc/self/$_") . "\n" } qw(cwd root exe);
print map { "namespace $_ " . (readlink("/proc/self/ns/$_") eq readlink("/proc/$ENV{LAUNCHER}/ns/$_") ? 'kept' : 'another') . "\n" }
    qw(cgroup ipc net pid time user uts mnt);
opendir my $folder, '/proc/self/fd' or die;
for my $number (sort { $a <=> $b } grep { /\d/ } readdir $folder) {
    my $leads = readlink "/proc/self/fd/$number";
    $leads =~ s/\d+/N/ unless $leads =~ m{^/(?!proc/|dev/pts/)};
    print "descriptor $number $leads ", map { tr/\n/ /r } lines("/proc/self/fdinfo/$number", qr/^flags/);
    print "\n";
}
print "input $_" for <STDIN>;
print STDERR "to standard error\n";
exit($ARGV[0] eq '--version' ? 0 : 77);
