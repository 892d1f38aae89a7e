# Tries to change files of procfs by every call there is, and says what it could: tries.pl FILE...
use strict;
use Fcntl;
use Socket;

# setxattr(2) and mknod(2) on x86_64; perl has no words for them.
my ($SETXATTR, $MKNOD) = (188, 133);

for my $file (@ARGV) {
    next unless -e $file;
    my ($folder) = $file =~ m{^(.*)/};
    my $mode = (stat $file)[2] & 0777;
    my %tries = (
        write    => sub { sysopen(my $f, $file, O_WRONLY) },
        update   => sub { sysopen(my $f, $file, O_RDWR) },
        append   => sub { sysopen(my $f, $file, O_WRONLY | O_APPEND) },
        cut      => sub { sysopen(my $f, $file, O_RDONLY | O_TRUNC) },
        reopen   => sub { my $f; sysopen($f, $file, O_RDONLY) && sysopen(my $g, "/proc/self/fd/" . fileno($f), O_WRONLY) },
        truncate => sub { truncate($file, 0) },
        extend   => sub { truncate($file, 99) },
        chmod    => sub { chmod($mode | 0222, $file) },
        chown    => sub { chown(1, 1, $file) },
        utime    => sub { utime(1, 1, $file) },
        setxattr => sub { my ($name, $value) = ("user.x", "1"); syscall($SETXATTR, $file, $name, $value, 1, 0) == 0 },
        rename   => sub { rename($file, "$file.new") },
        replace  => sub { rename("/tmp/empty", $file) },
        unlink   => sub { unlink($file) },
        link     => sub { link($file, "$folder/new.link") },
        symlink  => sub { symlink("x", "$folder/new.symlink") },
        mkdir    => sub { mkdir("$folder/new.folder") },
        create   => sub { sysopen(my $f, "$folder/new.file", O_WRONLY | O_CREAT) },
        mknod    => sub { my $new = "$folder/new.node"; syscall($MKNOD, $new, 0100666, 0) == 0 },
        socket   => sub { my $s; socket($s, PF_UNIX, SOCK_STREAM, 0) && bind($s, pack_sockaddr_un("$folder/new.socket")) },
        folder   => sub { chmod(0777, $folder) },
        rmdir    => sub { rmdir($folder) },
    );
    for my $name (sort keys %tries) {
        print "could $name $file\n" if $tries{$name}->();
    }
}
