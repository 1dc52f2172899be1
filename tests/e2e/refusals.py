"""Hooks for Schemathesis: a check that what fits the schema is refused only by rules that no schema can express."""

import re
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, GenerationMode, Response, SerializationContext

RULES = re.compile(
    "|".join(
        (
            # What another row or the query's other parts decide.
            r"^is (no|not a|a) cursor ",
            r"^names no ",
            r"^is no operation on one record; ",
            r"^is no list that you may read; ",
            r"^is no view that you can use; ",
            r" is not to be saved for this list; ",
            r"^is the (ticket|account|value) itself$",
            r"^is no value of the list ",
            r"^was (retired; |merged into )",
            r" can be (filtered|grouped) by: ",
            r" has the variants: ",
            r" is not published; there are: ",
            r" is no type of event; ",
            r"^is no field of ",
            r"^is no custom field of ",
            r"^is no (filter|order) by a custom field; ",
            r"^is no noun with custom fields; ",
            r"^(is no value of the list |was retired; |was merged into )",
            r"^is none of its options; ",
            r"^(was archived: leave it out|names an option twice|name each option once)",
            r"^a name must not end in ",
            r"^give options of a choice or choices, and of nothing else$",
            r"^must be a list of 1 to 50 options, or null$",
            r"^names the dimensions of the groups; ",
            r"^never has this value in ",
            # What another field decides.
            r"^must open before it closes$",
            r"^(name|give) .+(one of them|or both)$",
            r"^give either ",
            r"^give due_(at|on) of what is (planned|agreed with the customer)$",
            r"^is only of rules with the trigger ",
            r"^must name each step once$",
            r"is the step of what a deal promises, ",
            r" is after .+, the last day asked for$",
            r"^must not give both ",
            r"^is a number of groups: add group_by$",
            r"^must be less than limit_minutes$",
            r"^a target is for one value of one dimension at most$",
            r"^is needed, since the lead has neither company nor name$",
            r"^is (after the conversion|before the lead was created)$",
            r"^is required: it names the resource of the CSV's rows$",
            # Where a webhook may go, which parsers and name servers decide.
            r"^must begin with https://$",
            r"^must not carry credentials$",
            r"^must name a host with its domain",
            r"^has a port that does not exist$",
            r"^must not lead to a private, local or reserved address$",
            # What lists decide that are too long for a schema.
            r"^must be an ISO 4217 currency code",
            r"^must be a time zone of the IANA database",
            r"^is the reporting currency",
            # What JSON Schema has no words for: bounds of time, 7.0 where 7 is meant, a name of nothing but spaces.
            r" is not between 1970-01-0[12] and 2199-12-3[01]$",
            r"^(is in the future|has not come yet)$",
            r"^Input should be a valid integer$",
            r"^String should have at least 1 character$",
            r"^contains characters that are not text$",
            r"^must not be minus zero$",
            r"^must not contain a joiner or tag where no script needs one$",
            r"^must not contain more than 30 combining marks in a row$",
        )
    )
)


@schemathesis.serializer("application/x-ndjson")
def rows_of_an_import(_ctx: SerializationContext, value: Any) -> bytes:
    """Return a body as it is: its schema is a text, and so is its example."""
    return str(value).encode()


@schemathesis.check
def refused_by_a_rule_only(_ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """Fails for a 422 of a request that fits the schema, unless a rule is the reason."""
    if response.status_code != 422 or case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    undocumented = [error for error in response.json().get("errors", ()) if not RULES.search(error["detail"])]
    assert not undocumented, f"the schema does not express: {undocumented}"
