perl -e '
sub entry { my ($name, $type, $data) = @_;
  my $h = pack("a100 a8 a8 a8 a12 a12 a8 a1 a100 a6 a2 a32 a32 a8 a8 a155 a12", $name, "0000755", "0000000", "0000000",
    sprintf("%011o", length $data), sprintf("%011o", 1000000000), " " x 8, $type, "", "ustar", "00", "", "", "", "", "", "");
  substr($h, 148, 8) = sprintf("%06o\0 ", unpack("%32C*", $h));
  return $h . $data . "\0" x (-length($data) % 512); }
my $value = pack("V V V V V", 0x02000001, 0x400, 0, 0, 0);
my $body = " SCHILY.xattr.security.capability=" . $value . "\n";
my $size = length($body) + 2;
print entry("pax", "x", $size . $body), entry("cap", "0", "program\n"), "\0" x 1024;
' > a.tar
