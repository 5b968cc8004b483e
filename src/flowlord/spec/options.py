"""The options of rules: how each is read into a Rule, and everything that can be wrong with its value."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, TypeAlias

from flowlord.model.workflow import Rule
from flowlord.rules.batch import STEPS
from flowlord.rules.cron import parsed
from flowlord.rules.durations import parse_duration
from flowlord.rules.errors import Unreadable, quote
from flowlord.rules.globs import Glob
from flowlord.rules.template import Template
from flowlord.rules.zones import zone_of
from flowlord.spec import kinds, lists
from flowlord.spec.document import Findings, named
from flowlord.spec.elsewhere import TRAVELS, hint_of, option_hint, schedule_in_words, span_of
from flowlord.spec.known import Known
from flowlord.spec.near import is_sure, near_miss, nearest
from flowlord.spec.remark import Pair, Remark

MOST_STRANGERS: Final = 1_000  # names of unknown options in one file
_MOST_HINTS: Final = 200  # of one file, about options that nobody knows
NO_MISSES: Final = frozenset(("file", "filename", "tags"))
CATCHUPS: Final = ("none", "last", "all")
OVERLAPS: Final = ("allow", "skip", "queue")
REWRITES: Final = ("run", "ignore")

ALIASES: Final = {"meta_file": "meta-file"}
_TOKEN: Final = re.compile(r"\{meta:([^{}]*)\}")
_LONE_TOKEN: Final = re.compile(r"\{meta:([0-9A-Za-z_]+)\}", re.ASCII)
_NAME: Final = re.compile(r"[0-9A-Za-z_]+", re.ASCII)
_BETWEEN: Final = re.compile(r"[\s,]*")
_SCHEDULE: Final = re.compile(r"(?:[-*?/,0-9A-Za-z]+[ \t]+){4,5}[-*?/,0-9A-Za-z]+|@[a-z]+(?: [0-9a-z.]+)?")


class Options:
    """Reads the rules of one file.

    `known` has what was found out about texts that repeat, `before` what was found in the file so far.
    """

    def __init__(self, known: Known | None = None, before: Findings | None = None) -> None:
        self.known = known or Known()
        self.before = before or Findings()
        self.strangers: set[str] = set()  # names of options that are none of ours, in all rules
        self._begin()

    def _begin(self) -> None:
        self.given: dict[str, object] = {}
        self.moments: dict[str, datetime] = {}
        self.unknown: list[tuple[str, str]] = []
        self.remarks: list[Remark] = []
        self.at: dict[str, int] = {}  # option -> place of its first pair
        self.pairs: Sequence[Pair] = ()

    def read(self, pairs: Sequence[Pair]) -> Rule:
        """Return the rule that `pairs` make; what is wrong with it is in `remarks` until the next one."""
        self._begin()
        self.pairs = pairs
        at = self.at
        for number, key, value in pairs:
            take = _TAKE.get(key)
            name = key
            if take is None:
                low = key.lower()
                name = ALIASES.get(low, low)
                take = _TAKE.get(name)
                if take is None:
                    self._other(number, key, name, value)
                    continue
            if name not in at:
                at[name] = number
                take(self, number, value)
            elif name in _REPEATED:
                take(self, number, value)
            elif name == "no_alert" and kinds.is_yes(value) != self.given["no_alert"]:
                text = "'no_alert' is given again and says the opposite"
                self.say("FL076", number, text, "keep one of them", on_key=True)
            else:
                text = f"{named(name)} is given again; the first one counts"
                self.say("FL024", number, text, "keep one of them", on_key=True)
        zone = self._zone() if "tz" in at else ""
        if "cron" in at:
            self._schedule(zone)
        moments = self.moments
        if moments and kinds.in_zone(self, at, zone) and len(moments) == 2:
            kinds.in_order(self, at["until"], str(self.given["first"]), str(self.given["until"]), zone)
        if "alert" in self.given:
            kinds.of_one_mind(self, at)
        if "meta" in at and "meta-file" in at:
            text = "'meta' and 'meta-file' cannot be combined"
            self.say("FL062", max(at["meta"], at["meta-file"]), text, "keep one of them", on_key=True)
        return Rule(
            pairs=tuple([(key, value) for _, key, value in pairs]),
            unknown=tuple(self.unknown),
            **self.given,  # type: ignore[arg-type]
        )

    def say(
        self,
        code: str,
        number: int,
        text: str,
        hint: str = "",
        *,
        on_key: bool = False,
        start: int = -1,
        end: int = -1,
        better: str | None = None,
    ) -> None:
        """Note that something is wrong with the option of that number."""
        if self.before.is_full(code):  # it will be counted, and nobody reads it
            self.remarks.append(Remark(code, number, ""))
            return
        self.remarks.append(Remark(code, number, text, hint, on_key, start, end, better))

    def complain(self, code: str, number: int, value: str, error: Unreadable) -> None:
        """Note that a value could not be read, with the place in it that the error names; its end is no place."""
        if self.before.is_full(code):
            self.say(code, number, "")
            return
        start, end = span_of(value, error)
        self.say(code, number, str(error), hint_of(code, value), start=start, end=end)

    # --- keys that are no options ---------------------------------------------------------------------------------

    def _other(self, number: int, key: str, name: str, value: str) -> None:
        if name.startswith("require:"):
            self.say(
                "FL027",
                number,
                f"{named(key)} is read as {named('require=' + key[8:])}",
                "write it with '='",
                on_key=True,
                better=f"require={key[8:]}" if key.isprintable() else None,
            )
            self.at.setdefault("require", number)
            self._require(number, key[8:].strip(), on_key=True)
            return
        self.unknown.append((key, value))
        if name not in self.strangers:
            if len(self.strangers) > MOST_STRANGERS:
                return  # told once
            self.strangers.add(name)
            if len(self.strangers) > MOST_STRANGERS:
                text = f"the file has more than {MOST_STRANGERS:,} different unknown rule options"
                self.say("FL003", number, text, "take out what nobody reads", on_key=True)
                return
        meant, is_the_one = ("", False) if name in NO_MISSES else _meant(name)
        if meant:
            # Quotes for readers stand at both ends of a text: to mend one of them would be half of it.
            better, hint = meant if is_the_one and key.isascii() else None, f"did you mean {meant!r}?"
            if meant not in _REPEATED and any(each.lower() == meant for _, each, _ in self.pairs):
                better, hint = None, f"{meant!r} is given, too: take one of them out"
            self.say("FL021", number, f"unknown rule option {named(key)}", hint, on_key=True, better=better)
        elif not value and (schedule := key if _SCHEDULE.fullmatch(key) else schedule_in_words(key)):
            text = f"{named(key)} looks like a schedule and starts nothing"
            self.say("FL026", number, text, f"did you mean {named(f'cron={schedule}')}?", on_key=True)
        else:
            known = option_hint(name)
            like = "" if known or len(self.strangers) > _MOST_HINTS else nearest(name, _MEANT)
            hint = f"did you mean {like!r}?" if like else known or TRAVELS
            better = like if like and name not in NO_MISSES else None
            self.say("FL020", number, f"unknown rule option {named(key)}", hint, on_key=True, better=better)

    # --- options --------------------------------------------------------------------------------------------------

    def duration(self, number: int, value: str, *, negative: bool = False) -> int | None:
        """Return nanoseconds; None when the value is no duration, which is noted."""
        known = self.known.durations.get(value)
        if known is None:
            known = self.known.durations[value] = _duration(value)
        if not isinstance(known, int):
            bare = value.strip()
            if bare == value or self.before.is_full("FL050") or isinstance(_duration(bare), Unreadable):
                self.complain("FL050", number, value, known)
            else:
                text = f"{quote(value)} is no duration: there are blanks around it"
                self.say("FL050", number, text, "take them out", start=0, end=len(value), better=bare)
            return None
        if known < 0 and not negative:
            text = f"{quote(value)} is negative"
            self.say("FL051", number, text, "take the sign out", start=0, end=len(value))
            return None
        return known

    def _zone(self) -> str:
        """Return the zone of the rule; empty when it is none."""
        zone = str(self.given["tz"])
        try:
            zone_of(zone)
        except Unreadable as error:
            self.complain("FL031", self.at["tz"], zone, error)
            return ""
        return zone

    def _schedule(self, zone: str) -> None:
        text = str(self.given["cron"])
        known, schedule = self.known.schedules, (text, zone)
        if schedule not in known:
            try:
                parsed(text, zone)
                known[schedule] = None
            except Unreadable as error:
                known[schedule] = error.with_traceback(None)
        wrong = known[schedule]
        if wrong is not None:
            self.complain("FL030", self.at["cron"], text, wrong)

    def _files(self, number: int, value: str) -> None:
        patterns = self.given.get("files", ())
        assert isinstance(patterns, tuple)
        if not value:
            self.say("FL070", number, "'files' names no pattern", "write files=/in/**/*.csv", on_key=True)
            return
        try:
            Glob.check(value)
            self.given["files"] = (*patterns, value)
        except Unreadable as error:
            self.complain("FL070", number, value, error)

    def _ignore(self, number: int, value: str) -> None:
        patterns = self.given.get("ignore", ())
        assert isinstance(patterns, tuple)
        try:
            Glob.check(value)
            self.given["ignore"] = (*patterns, value)
        except Unreadable as error:
            self.complain("FL070", number, value, error)

    def _group(self, number: int, value: str) -> None:
        template = Template.compile(value)
        if template.has_time and not template.meta_names:
            self.given["group"] = value
        else:
            text = f"{quote(value)} groups nothing: write time tokens, such as {{yyyy}}-{{mm}}-{{dd}}"
            self.say("FL023", number, text)

    def _no_alert(self, number: int, value: str) -> None:
        self.given["no_alert"] = kinds.is_yes(value)
        if value.strip().lower() not in kinds.YES + kinds.NO:
            text, hint = f"{quote(value)} is read as true", "write no_alert or no_alert=false"
            self.say("FL027", number, text, hint, better="true")

    def _by(self, number: int, value: str) -> None:
        self.given["by"] = value
        if value.lower() not in STEPS:
            if self.before.is_full("FL064"):
                self.say("FL064", number, "")
                return
            like = nearest(value, filter(None, STEPS))
            hint = f"did you mean {like!r}?" if like else "hour, day, week and month are steps"
            text = f"{quote(value)} is no step and counts as a day"
            self.say("FL064", number, text, hint, better=like or None)

    def _meta_file(self, number: int, value: str) -> None:
        self.given["meta_file"] = value
        if not value:
            self.say("FL060", number, "'meta-file' names no file", on_key=True)

    def _pass(self, number: int, value: str) -> None:
        names = [name.strip() for name in value.split(",")]
        before = self.given.get("pass_on", ())
        assert isinstance(before, tuple)
        self.given["pass_on"] = (*before, *[name for name in names if name])

    def _require(self, number: int, value: str, *, on_key: bool = False) -> None:
        names = self.known.required.get(value)
        if names is None:
            names = self._required(number, value, on_key)
        before = self.given.get("require", ())
        assert isinstance(before, tuple)
        self.given["require"] = before + names

    def _required(self, number: int, value: str, on_key: bool) -> tuple[str, ...]:
        if lone := _LONE_TOKEN.fullmatch(value):  # as nearly all are
            self.known.required[value] = (lone[1],)
            return (lone[1],)
        names: list[str] = []
        at, alone, bad = 0, True, 0
        most = lists.worth_words(self, "FL041")
        for found in _TOKEN.finditer(value):
            alone &= _BETWEEN.fullmatch(value, at, found.start()) is not None
            at = found.end()
            names.append(found[1])
            if _NAME.fullmatch(found[1]) is None:
                bad += 1
                if bad > most:
                    continue
                text = f"{quote(found[1])} is no name for a token: letters, digits and _ are"
                start, end = (-1, -1) if on_key else found.span()
                self.say("FL041", number, text, on_key=on_key, start=start, end=end)
        alone &= _BETWEEN.fullmatch(value, at) is not None
        lists.count(self, "FL041", number, bad)
        hint = "write require={meta:name}, several with commas"
        if not names:
            self.say("FL041", number, f"{quote(value)} names no token to require", hint, on_key=on_key)
        elif not alone:
            text = f"{quote(value)} holds more than tokens; the rest is left out"
            self.say("FL043", number, text, hint, on_key=on_key)
        elif not bad:
            self.known.required[value] = tuple(names)
        return tuple(names)


_Take: TypeAlias = Callable[[Options, int, str], None]
_TAKE: Final[dict[str, _Take]] = {
    "cron": kinds.text("cron"),
    "tz": kinds.text("tz"),
    "from": kinds.bound("first"),
    "until": kinds.bound("until"),
    "jitter": kinds.lasting("jitter_ns"),
    "catchup": kinds.choice("catchup", CATCHUPS),
    "catchup_window": kinds.lasting("catchup_window_ns"),
    "overlap": kinds.choice("overlap", OVERLAPS),
    "offset": kinds.lasting("offset_ns", negative=True),
    "job": kinds.text("job"),
    "files": Options._files,
    "settle": kinds.lasting("settle_ns"),
    "count": kinds.number("count", 0),
    "group": Options._group,
    "marker": kinds.marker,
    "ignore": Options._ignore,
    "min_size": kinds.size,
    "on_rewrite": kinds.choice("on_rewrite", REWRITES),
    "require": Options._require,
    "retry_delay": kinds.lasting("retry_delay_ns"),
    "backoff": kinds.factor,
    "max_delay": kinds.lasting("max_delay_ns"),
    "no_alert": Options._no_alert,
    "alert": kinds.choice("alert", kinds.ALERTS),
    "alert_to": kinds.channel,
    "for": kinds.lasting("for_ns", negative=True),
    "by": Options._by,
    "meta": lists.meta,
    "meta-file": Options._meta_file,
    "pass": Options._pass,
    "batch_limit": kinds.number("batch_limit", 1),
    "priority": kinds.priority,
    "timeout": kinds.lasting("timeout_ns"),
    "late": kinds.deadline,
    "ttl": kinds.lasting("ttl_ns", least_ns=1_000_000_000),
}
_REPEATED: Final = frozenset(("files", "ignore", "meta", "pass", "require"))
KNOWN: Final = tuple(_TAKE)
# Of four letters, and one letter away from words that hand values on in many rules: date, rate, lake.
_MEANT: Final = tuple(name for name in KNOWN if name != "late")


def _duration(value: str) -> int | Unreadable:
    """Return nanoseconds, or why there are none."""
    try:
        return parse_duration(value)
    except Unreadable as error:
        return error.with_traceback(None)  # which would keep a file in memory


@lru_cache(maxsize=1024)
def _meant(name: str) -> tuple[str, bool]:
    """The option that a misspelt name stands for, and whether no other is as near; a rule may repeat it often."""
    meant = near_miss(name, _MEANT)
    return meant, bool(meant) and is_sure(name, meant, _MEANT)
