"""What can be wrong with a file: one code, one title, one severity for each kind of problem.

FL001-009 the file, FL010-019 its phases, FL020-079 rules and templates, FL080-099 whatever else is worth a word,
FL100-109 chains, FL200-209 configuration. Why, and an example of each, are in `flowlord.spec.pages`, which loading
workflows never opens.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from flowlord.model.problem import Problem, Severity


class Code(NamedTuple):
    """A kind of problem."""

    title: str
    severity: Severity
    fix: str = ""  # what `validate --fix` can do: nothing, or something SAFE or UNSAFE


SAFE: Final = "safe"  # the file was refused, or means the same afterwards
UNSAFE: Final = "unsafe"  # the file was taken, and does something else afterwards

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

CODES: Final[dict[str, Code]] = {
    "FL001": Code("the file cannot be read", _ERROR),
    "FL002": Code("the file is not UTF-8 text", _ERROR),
    "FL003": Code("more than flowlord takes", _ERROR),
    "FL004": Code("nested too deeply", _ERROR),
    "FL005": Code("no valid TOML", _ERROR),
    "FL006": Code("no valid YAML", _ERROR),
    "FL007": Code("a part of YAML that flowlord does not take", _ERROR),
    "FL008": Code("a key is repeated", _ERROR),
    "FL009": Code("more problems than are told", _NOTE),
    "FL010": Code("a value of the wrong type", _ERROR, SAFE),
    "FL011": Code("the task is missing", _ERROR),
    "FL012": Code("a misspelt key", _ERROR, SAFE),
    "FL013": Code("an unknown key", _WARNING, UNSAFE),
    "FL014": Code("a field is given twice", _ERROR),
    "FL015": Code("retry is out of range", _ERROR),
    "FL016": Code("several parents", _ERROR, SAFE),
    "FL017": Code("no phases", _NOTE),
    "FL018": Code("a name without a topic", _ERROR),
    "FL019": Code("a topic of flowlord's own", _ERROR),
    "FL020": Code("an unknown rule option", _WARNING, UNSAFE),
    "FL021": Code("a misspelt rule option", _ERROR, SAFE),
    "FL022": Code("a start without any task", _WARNING),
    "FL023": Code("a rule option has an impossible value", _ERROR, SAFE),
    "FL024": Code("a rule option is given twice", _WARNING),
    "FL025": Code("a bad escape", _WARNING, SAFE),
    "FL026": Code("a schedule without cron=", _WARNING, UNSAFE),
    "FL027": Code("an old notation", _WARNING, SAFE),
    "FL028": Code("an option that does nothing here", _WARNING),
    "FL029": Code("a wait between tries, and no further try", _WARNING),
    "FL030": Code("the schedule cannot be read", _ERROR),
    "FL031": Code("the time zone is unknown", _ERROR),
    "FL032": Code("from or until is no time", _ERROR),
    "FL033": Code("a time that the clocks skip", _WARNING),
    "FL034": Code("a step that does not divide", _WARNING),
    "FL035": Code("either of two days", _WARNING),
    "FL036": Code("until lies before from", _ERROR),
    "FL037": Code("until has passed", _NOTE),
    "FL038": Code("a jitter longer than the interval", _WARNING),
    "FL039": Code("no start between from and until", _WARNING),
    "FL040": Code("an unknown token", _WARNING, UNSAFE),
    "FL041": Code("require names no token", _ERROR),
    "FL042": Code("a token that is always empty", _WARNING),
    "FL043": Code("require holds more than tokens", _WARNING),
    "FL044": Code("a value that only a worker can give", _NOTE),
    "FL045": Code("a name nearly like one that is given", _WARNING, UNSAFE),
    "FL046": Code("time tokens without a time", _WARNING),
    "FL047": Code("minutes where only hours are handed on", _WARNING),
    "FL048": Code("an hour under the name of a day", _NOTE, UNSAFE),
    "FL049": Code("a time token behind a #", _WARNING),
    "FL050": Code("the duration cannot be read", _ERROR, SAFE),
    "FL051": Code("the duration is negative", _ERROR),
    "FL052": Code("an interval that is cut", _WARNING, SAFE),
    "FL053": Code("minutes that a batch cuts off", _NOTE),
    "FL060": Code("the lists of meta cannot be read", _ERROR),
    "FL061": Code("the lists of meta have unequal lengths", _ERROR),
    "FL062": Code("meta and meta-file together", _ERROR),
    "FL063": Code("more tasks than the limit", _WARNING),
    "FL064": Code("an unknown step", _WARNING, UNSAFE),
    "FL065": Code("a range shorter than one step", _NOTE),
    "FL066": Code("no such meta-file", _WARNING),
    "FL067": Code("the meta-file cannot be read", _WARNING),
    "FL068": Code("rows without a value", _WARNING),
    "FL069": Code("tasks that differ in nothing", _WARNING),
    "FL070": Code("the pattern of files cannot be read", _ERROR),
    "FL071": Code("a plus in files is a space", _WARNING, UNSAFE),
    "FL072": Code("a pattern that matches nothing", _WARNING, UNSAFE),
    "FL073": Code("two phases for one file", _NOTE),
    "FL074": Code("all files are left out", _WARNING),
    "FL075": Code("text that only stands for itself", _WARNING),
    "FL076": Code("no_alert says yes and no", _WARNING),
    "FL077": Code("alert and no_alert say opposite things", _ERROR),
    "FL080": Code("a secret in plain text", _WARNING),
    "FL081": Code("a topic with odd characters", _WARNING),
    "FL082": Code("the month in place of the minute", _WARNING, UNSAFE),
    "FL090": Code("an ignore comment that ignores nothing", _WARNING, SAFE),
    "FL091": Code("an ignore comment that cannot work", _WARNING),
    "FL100": Code("a cycle", _ERROR),
    "FL101": Code("nothing starts the phase", _WARNING),
    "FL102": Code("the parent is unknown", _WARNING, UNSAFE),
    "FL103": Code("the parent is in another file", _WARNING),
    "FL104": Code("two phases of one name", _WARNING),
    "FL105": Code("a phase on the topic of dead letters", _WARNING),
    "FL200": Code("the configuration cannot be read", _ERROR),
    "FL201": Code("an unknown setting", _ERROR),
    "FL202": Code("a setting has an impossible value", _ERROR),
    "FL203": Code("a setting of a later version", _NOTE),
    "FL204": Code("a topic that is a plain list", _ERROR),
}


def problem(
    code: str, path: str, line: int = 0, column: int = 0, *, text: str, hint: str = "", end: int = 0
) -> Problem:
    """Return a problem of a registered kind, with its severity."""
    return Problem(shown(path), line, column, text, hint, code, CODES[code].severity, end)


def shown(path: str) -> str:
    """Return a path as it can be printed and kept anywhere: what in it is no Unicode is written out, as `\\udcff`."""
    return path if path.isascii() else path.encode("utf-8", "backslashreplace").decode()
