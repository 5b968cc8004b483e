"""The digest that the page of alerts shows is the one that is sent."""

from docs.alert_forms import PAGE, digest, of_page, written
from flowlord.alert.slack_message import blocks_of
from support.slack_rules import refusal


def test_the_page_shows_the_digest_as_it_is_sent():
    assert of_page(PAGE.read_text("utf-8")) == written(), "run: python tests/docs/alert_forms.py"
    assert refusal(blocks_of(digest())) == ""
