# Uses up the quota of keys of the user whose number is given, says so, and holds it until it is killed.
use strict;
use Errno;
my ($user) = @ARGV;
$( = $) = "$user $user";
$< = $> = $user;
my $KEY_SPEC_PROCESS_KEYRING = -2;
my ($add_key, $type, $payload, $held) = (248, "user", "x", 0);
while ($held < 5000) {
  my $name = "key $held";
  last if syscall($add_key, $type, $name, $payload, 1, $KEY_SPEC_PROCESS_KEYRING) < 0;
  $held++;
}
$| = 1;
print $!{EDQUOT} ? "full\n" : "not full: $!\n";
sleep;
