#!/usr/bin/perl
# A worker without flowlord and without a library for Redis: it turns the info of each task into capitals.
#   examples/foreign_worker/worker.pl shout localhost:6379
use strict;
use warnings;
use IO::Socket::INET;
use JSON::PP;
use POSIX 'strftime';

my ($name, $where) = (@ARGV, 'localhost:6379');
my $topics = '{' . ($ENV{FLOWLORD_NAMESPACE} || 'flowlord') . '}:topic';
my $redis = IO::Socket::INET->new($where) or die "$where: $!\n";
my $json = JSON::PP->new->utf8;

sub answer {
    my ($kind, $rest) = (readline($redis) // die "Redis has gone\n") =~ /^(.)(.*)\r\n/s;
    return $rest < 0 ? undef : [map { answer() } 1 .. $rest] if $kind eq '*';
    die "$rest\n" if $kind eq '-' && $rest !~ /^BUSYGROUP/;
    return $rest if $kind ne '$' || $rest < 0;
    read $redis, my $text, $rest + 2;
    return substr $text, 0, $rest;
}
sub ask { print {$redis} '*' . @_ . "\r\n", map { '$' . length . "\r\n$_\r\n" } @_; answer() }
sub now { strftime '%Y-%m-%dT%H:%M:%SZ', gmtime }

ask('XGROUP', 'CREATE', "$topics:$name", 'workers', 0, 'MKSTREAM');
while (1) {
    my $got = ask(qw(XREADGROUP GROUP workers), "perl-$$", qw(COUNT 1 BLOCK 1000 STREAMS), "$topics:$name", '>') or next;
    my ($id, $fields) = @{ $got->[0][1][0] };
    my %field = @$fields;
    my $task = $json->decode($field{task});
    @$task{qw(started result msg)} = (now(), 'complete', uc $task->{info});
    $task->{ended} = now();
    # Report first, then acknowledge: who dies in between does it again, and the second report counts for nothing.
    ask('XADD', "$topics:done", '*', 'key', $field{key} // '', 'task', $json->encode($task));
    ask('XACK', "$topics:$name", 'workers', $id);
    ask('XDEL', "$topics:$name", $id);
}
