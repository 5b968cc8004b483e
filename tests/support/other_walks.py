"""How another library walks over the fields of a schedule: an oracle for ours."""

from collections.abc import Iterator
from datetime import UTC, datetime

from flowlord.rules.cronfields import Fields


def croniter_walk(fields: Fields, after: datetime) -> Iterator[datetime]:
    """Yield what croniter names after a time in UTC."""
    from croniter import croniter

    day, weekday = str(fields.day), str(fields.weekday)
    if fields.either_day and (fields.day.full or fields.weekday.full):
        day = weekday = "*"  # croniter would take the full one for a star and ask for both
    written = [
        str(fields.second), str(fields.minute), str(fields.hour), day, str(fields.month), weekday
    ]  # fmt: skip
    walk = croniter(
        " ".join(written),
        after.astimezone(UTC).replace(tzinfo=None),
        day_or=fields.either_day,
        second_at_beginning=True,
        max_years_between_matches=8,
    )
    while True:
        yield walk.get_next(datetime).replace(tzinfo=UTC)
