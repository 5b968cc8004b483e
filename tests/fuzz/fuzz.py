"""Any bytes give a problem or a pass: mutated examples for each parser of phase files.

python tests/fuzz/fuzz.py cron --count 1000000 --seed 7      one parser, or all without a name; exits 1 at a fault

An input is an example, good or bad, of the pages that `flowlord rule` shows, with some bytes changed, cut, repeated
or taken from another one. What is asked of each: no exception but the parser's own complaint; an answer whose size is
bounded by that of the input; no more processor time than its target's slowest_s, tried again so that a collection of
garbage or a stolen core is no fault.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from flowlord.rules.cron import Cron
from flowlord.rules.durations import parse_duration
from flowlord.rules.errors import Unreadable
from flowlord.rules.globs import Glob
from flowlord.rules.template import Template
from flowlord.spec.author.inspect import inspect
from flowlord.spec.pages import pages
from flowlord.spec.rule import parse_rule

NOW = datetime(2026, 11, 27, tzinfo=UTC)
SLOWEST_S = 0.200  # of the process's own time, for an input of LARGEST bytes or fewer
LARGEST = 4_096
TRIES = 3  # an input is slow when it is so each time
BATCH = 50  # inputs that are timed together: two questions about the time for each would cost as much as a short input
MOST_ANSWERED = 200_000  # characters of all problems of one input
PIECES = [
    *(bytes([each]) for each in b"\x00\x7f\x80\xff\xc3\"'\\\n\r\t #=[]{},:;&|*?!%+-./@<>~0123456789aZ"),
    b"'''", b'"""', b"[[phase]]\n", b"- ", b"\\u0000", b"\\U0010ffff", b"%00", b"%zz", "é𝄞".encode(), b"\xef\xbb\xbf",
    b"\xed\xa0\x80", b"9" * 30, b"{meta:", b"{yyyy}", b"&a ", b"*a", b"!!set ", b"<<: ", b"[" * 40, b"**/", b"@every ",
    b"1-5/2", b"-1", b"0x", b"1e9", b"nan", b"ns", b"h", b"&for=", b"&meta=a:", b"#flowlord: ignore FL0",
]  # fmt: skip
# What a change is drawn from: how many of them, how many bytes, how often repeated, how many borrowed.
_CHANGES = (1, 1, 1, 2, 3, 8)
_LENGTHS = (1, 1, 2, 5, 20)
_TIMES = (1, 2, 30)
_BORROWED = (4, 30, 200)
_FEW_TIMES = (1, 1, 2, 5)
_FEW_BORROWED = (2, 4, 12)
# The ways of writing a phase, as short as they go: what may stand in a rule is tried as rules.
SMALL_TOML = (
    b'[[phase]]\ntask="a"\n',
    b"[[phase]]\ntask='a:b'\nretry=3\n",
    b'phase=[{task="a"}]\n',
    b'phase=[{task="a",retry=1},]\n',
    b'[[phase]]\ntask="a"\n[phase.rule]\nfor="2d"\n',
    b'[[phase]]\ntask="a"\nrule.by="day"\n',
    b'[[Phase]]\ntask="""\na\\\n"""\n',
    b"[[phase]]\ntask='''a'''\n",
    b'[[phase]]\n"task"="\\u00e9"\n',
    b'[[phase]]\r\ntask="a"\r\n',
    b'\xef\xbb\xbf[[phases]]\ntask="a"\n',
    b'[[phase]]\ntask="a" # flowlord: ignore FL101\n',
    b'[[phase]]\ntask="a"\ndependsOn="b"\n',
    b'[[phase]]\ntask="a"\ntemplate="{mm}"\n',
)
SMALL_YAML = (
    b"phases:\n- task: a\n",
    b"phases:\n- task: a:b\n  retry: 3\n",
    b"phases: [{task: a}]\n",
    b'phases: [{"task": "a"}]\n',
    b"phases:\n- task: >-\n    a\n",
    b"phases:\n- task: |\n    a\n",
    b"phases: [{task: &t a}, {task: *t}]\n",
    b"phase: [{task: !!str 1}]\n",
    b"phases:\n- task: 'a'\n  rule: {by: day}\n",
    b'phases: [{task: "a\\u00e9"}]\n',
    b"--- \nphases: [{task: a}]\n...\n",
    b"phases:\n- task: a # flowlord: ignore FL101\n",
    b"phases:\n- task: a\n  dependsOn: b\n",
    b"? phases\n: [{task: ~}]\n",
)


@dataclass(frozen=True, slots=True)
class Target:
    """A parser: `read` returns whether it took the input, and how long its answer is."""

    read: Callable[[bytes], tuple[bool, int]]
    seeds: tuple[bytes, ...]
    least_taken: float  # share of inputs that must be taken, or nothing behind the first check was tried
    slowest_s: float = SLOWEST_S
    small: tuple[bytes, ...] = ()  # examples that are read sooner, where others take long


def _file(name: str) -> Callable[[bytes], tuple[bool, int]]:
    def read(data: bytes) -> tuple[bool, int]:
        inspected = inspect(data, name, name, NOW)
        size = sum(len(each.text) + len(each.hint) for each in inspected.problems)
        for each in inspected.problems:
            assert min(each.line, each.column) >= 0, each
            assert not each.end or each.end >= each.column, each
        return inspected.phases > 0, size

    return read


def _text(parse: Callable[[str], object]) -> Callable[[bytes], tuple[bool, int]]:
    def read(data: bytes) -> tuple[bool, int]:
        try:
            parse(data.decode("utf-8", "replace"))
        except Unreadable as error:
            return False, len(str(error))
        return True, 0

    return read


def _rule(data: bytes) -> tuple[bool, int]:
    text = data.decode("utf-8", "replace")
    _, findings = parse_rule(text)
    return not findings, sum(len(each.text) + len(each.hint) for each in findings)


def _cron(text: str) -> None:
    schedule = Cron.parse(text)
    schedule.next(NOW)


def _template(text: str) -> None:
    template = Template.compile(text)
    assert len(template.render(NOW, {"name": "x"}, unique="u", host="h").encode("utf-8", "replace")) <= 65_536


def _glob(text: str) -> None:
    glob = Glob.compile(text)
    glob.matches("/in/2026/08/01/a.csv")
    glob.leads_into("/in/2026")


def _examples(ending: str) -> tuple[bytes, ...]:
    both = (each for page in pages().values() for each in (page.good, page.bad))
    return tuple(
        each.text.encode() for each in both if each.name.endswith(ending) and len(each.text) < LARGEST // 2
    )


def _few(rules: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return rules of one option and of two."""
    options = [rule.split(b"&") for rule in rules]
    return tuple(dict.fromkeys(b"&".join(each[at : at + 2]) for each in options for at in range(len(each))))


def _options(*names: str) -> tuple[bytes, ...]:
    lines = (line for text in _examples("toml") for line in text.decode().splitlines())
    rules = [line.split('"')[1] for line in lines if line.startswith("rule = ") and line.count('"') > 1]
    if not names:
        return tuple(rule.encode() for rule in rules)
    return tuple(
        value.encode() for rule in rules for pair in rule.split("&")
        for name, _, value in [pair.partition("=")] if name in names
    )  # fmt: skip


def targets() -> dict[str, Target]:
    """All parsers, by name."""
    yaml = (
        b"phases:\n- task: a\n  rule: cron=@daily&for=-48h&by=day\n  template: '?day={yyyy}-{mm}-{dd}'\n",
        b"phases:\n- task: b\n  dependsOn: a\n  rule: >-\n    require={meta:file}\n  retry: 3\n",
        b'- {task: &t "a\\u00e9:j", rule: {cron: "@hourly", files: [/in/*.csv, /b/**]}}\n- {task: b, dependsOn: *t}\n',
    )
    templates = tuple(
        line.split('"')[1].encode() for text in _examples("toml") for line in text.decode().splitlines()
        if line.startswith("template = ") and line.count('"') > 1
    )  # fmt: skip
    durations = (
        b"1h30m",
        b"-48h",
        b"2d",
        b"1w",
        b"90s",
        b"1.5h",
        b"10ms",
        b"+3us",
        b"0",
        b"7ns",
        b"soon",
        b"1h 2m",
    )
    crons = (b"*/5 * * * *", b"0 0 1-7/2 JAN-MAR MON,FRI", b"@every 90m", b"0 30 4 * * *", b"59 23 31 12 ?")
    globs = (b"/in/**/*.csv", b"/a[0-9]?.txt", b"s3://b/[!a-c]*/\\*.gz", b"/in/{a,b}/**")
    return {
        "toml": Target(
            _file("f.toml"),
            _examples(".toml"),
            0.10,
            slowest_s=0.5,
            small=SMALL_TOML,
        ),
        "yaml": Target(_file("f.yaml"), (*_examples(".yaml"), *yaml), 0.02, slowest_s=0.5, small=SMALL_YAML),
        # Hundreds of unknown options are each compared with every known one, which takes tens of milliseconds.
        "rule": Target(_rule, _options(), 0.02, slowest_s=0.2, small=_few(_options())),
        "cron": Target(_text(_cron), (*_options("cron"), *crons), 0.02),
        "duration": Target(_text(parse_duration), (*_options("offset", "for", "jitter"), *durations), 0.02),
        "template": Target(_text(_template), (*templates, b"{uuid}{host}{meta:name}#{yyyy}"), 0.90),
        "glob": Target(_text(_glob), (*_options("files", "ignore"), *globs), 0.20),
    }


def mutated(chance: random.Random, seeds: tuple[bytes, ...], *, small: bool = False) -> bytes:
    """Return an example with one change or several, each of some bytes if `small`; some inputs are only bytes."""
    draw = chance.random
    times, borrowed = (_FEW_TIMES, _FEW_BORROWED) if small else (_TIMES, _BORROWED)
    if draw() < 0.02:
        return chance.randbytes(int(draw() * 64))
    data = seeds[int(draw() * len(seeds))]
    for _ in range(_CHANGES[int(draw() * len(_CHANGES))]):
        at = int(draw() * (len(data) + 1))
        end = at + _LENGTHS[int(draw() * len(_LENGTHS))]
        head, part, tail = data[:at], data[at:end], data[end:]
        match int(draw() * 7):
            case 0:
                data = head + tail
            case 1:
                data = head + PIECES[int(draw() * len(PIECES))] + tail
            case 2 | 3:
                data = head + PIECES[int(draw() * len(PIECES))] + part + tail
            case 4 if part:
                data = head + bytes((part[0] ^ 1 << int(draw() * 8),)) + part[1:] + tail
            case 5:
                data = head + part * times[int(draw() * len(times))] + part + tail
            case _:
                other = seeds[int(draw() * len(seeds))]
                first = int(draw() * (len(other) + 1))
                data = head + other[first : first + borrowed[int(draw() * len(borrowed))]] + tail
    return data[:LARGEST]


def fuzz(name: str, count: int, seed: int, *, small: bool = False) -> float:
    """Try `count` inputs, each one that repeats another only once; returns the share that was taken.

    Args:
        small: begin with the small examples, of which many can be tried: phases without rules, rules of two options.
    Raises:
        AssertionError: an input was not survived; it names the parser, the seed and the input.
    """
    target, taken = targets()[name], 0
    known: dict[int, bool] = {}  # by its hash, whether an input was taken: small ones come again and again
    chance = random.Random(f"{name} {seed}")
    seeds = (small and target.small) or target.seeds
    for first in range(0, count, BATCH):
        batch = [mutated(chance, seeds, small=small) for _ in range(min(BATCH, count - first))]
        begun = time.process_time()
        for number, data in enumerate(batch, first):
            which = hash(data)
            if which not in known:
                is_taken = _survived(target, data, f"{name}, seed {seed}, input {number}")
                if not small:
                    taken += is_taken
                    continue
                known[which] = is_taken
            taken += known[which]
        if time.process_time() - begun > target.slowest_s:  # all of them together: so one may have, alone
            for number, data in enumerate(batch, first):
                _timed(target, data, f"{name}, seed {seed}, input {number}")
    share = taken / max(count, 1)
    assert share >= target.least_taken, (
        f"{name}, seed {seed}: only {share:.1%} of {count:,} inputs were taken"
    )
    return share


def _survived(target: Target, data: bytes, where: str) -> bool:
    try:
        is_taken, size = target.read(data)
    except BaseException as error:
        raise AssertionError(f"{type(error).__name__}: {error} for {where}: {data!r}") from error
    assert size <= MOST_ANSWERED, f"{size:,} characters for {where}: {data!r}"
    return is_taken


def _timed(target: Target, data: bytes, where: str) -> None:
    """Ask that an input takes no longer than it may; one that does is tried again."""
    for _ in range(TRIES):
        begun = time.process_time()
        target.read(data)
        spent = time.process_time() - begun
        if spent <= target.slowest_s:
            return
    raise AssertionError(f"{spent * 1000:.0f} ms for {where}: {data!r}")


def main() -> int:
    reader = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    reader.add_argument("names", nargs="*", default=[*targets()], help="parsers; all when none is named")
    reader.add_argument("--count", type=int, default=1_000_000, help="inputs for each (default: %(default)s)")
    reader.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(2**32), help="default: a new one"
    )
    given = reader.parse_args()
    for name in given.names:
        begun = time.process_time()
        try:
            share = fuzz(name, given.count, given.seed)
        except AssertionError as error:
            print(error)
            return 1
        spent = time.process_time() - begun
        print(
            f"{name:<9} {given.count:>9,} inputs, {share:6.1%} taken, {spent:7.1f} s, seed {given.seed}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
