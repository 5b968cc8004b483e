"""FL001 to FL009: the file itself."""

from __future__ import annotations

from typing import Final

from flowlord.spec.pages.page import Example, Page, phase

_GOOD: Final = Example(phase('rule = "cron=@daily"'))
_YAML: Final = Example('phases:\n  - task: load\n    rule: {cron: "@daily"}\n', "flow.yaml")

PAGES: Final = {
    "FL001": Page(
        "Nothing can be said about a file that cannot be read: rights are missing, it is a folder or a "
        "device, its name is not UTF-8, or it is flowlord's own configuration, which is never a workflow.",
        Example(phase('rule = "cron=@daily"'), "flowlord.toml", shown="flowlord validate flowlord.toml"),
        Example(phase('rule = "cron=@daily"'), shown="flowlord validate workflows/users.toml"),
    ),
    "FL002": Page(
        "Workflow files are UTF-8 text. Another encoding would turn names into other names without a word.",
        Example(
            '[[phase]]\ntask = "«\0»"\n', shown='task = "\\x00"    # a NUL, or a byte such as 0xe9 of Latin-1'
        ),
        _GOOD,
    ),
    "FL003": Page(
        "A file has at most 1 MiB, 5,000 phases, 500 different unknown keys and 64 KiB in a line, a folder 1,000 "
        "files, a rule 500 options, all rules of a file 1,000 unknown ones. A list has at most 5,000 values, a table "
        "within the file 1,000 keys, the file 5,000 values and one for each 8 characters, also below keys that begin "
        "with x-. So no file, however made, holds up a daemon.",
        Example(phase(f'rule = «"{"&a" * 501}"»'), shown='rule = "a&a&a&…"    # 501 options'),
        _GOOD,
    ),
    "FL004": Page(
        "Lists and tables lie at most 32 deep in each other, keys have at most 16 dots. A phase needs three.",
        Example(f"x = {'[' * 32}«[»{']' * 33}\n", shown="x = [[[[[[…]]]]]]    # 33 deep"),
        _GOOD,
    ),
    "FL005": Page(
        "The file is not TOML from the marked place on, so nothing in it can be used. The most frequent "
        "cause is a quote that is missing.",
        Example('[[phase]]\ntask = "load"\nrule = «"cron=@daily»\n'),
        _GOOD,
    ),
    "FL006": Page(
        "The file is not YAML from the marked place on, so nothing in it can be used. Tabs never indent "
        "in YAML.",
        Example("phases:\n«\t»- task: load\n", "flow.yaml"),
        _YAML,
    ),
    "FL007": Page(
        "Tags, merge keys, several documents in one file and aliases that hold themselves are left out on"
        " purpose: they hide what a file says, and some of them run code elsewhere.",
        Example("phases: «!!set {»load}\n", "flow.yaml"),
        _YAML,
    ),
    "FL008": Page(
        "A key or a table that stands twice would lose one of its values without a word.",
        Example("phases:\n  - task: load\n    «task»: extract\n", "flow.yaml"),
        _YAML,
    ),
    "FL009": Page(
        "Of each severity at most 300 problems of a file are told; this says how many more there are. With more "
        "errors than that nobody looks at the phases behind them: it says how many are left.",
        Example(
            phase('rule = "cron=@daily"') + "".join(f"owner{n} = 1\n" for n in range(301)),
            shown="owner0 = 1\nowner1 = 1\n…    # 1,001 unknown keys",
        ),
        _GOOD,
    ),
}
