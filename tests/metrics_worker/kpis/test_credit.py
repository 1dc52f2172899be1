"""Whom each KPI is credited to by owner, after everything that can change hands has done so."""

from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from event_contracts.catalogue import State
from event_contracts.fields import Credit
from event_contracts.service import Interaction, Wait
from metrics_worker.domain.kinds import KIND_BY_NAME, Kind
from metrics_worker.domain.posting import Posting, text_of
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.kpis.document import credits_of
from tests.metrics_worker import facts
from tests.metrics_worker.facts import VILNIUS, moment

HOLDER, REPLIED, RESOLVED, RESOLVED_FIRST, CONTACTED, QUALIFIED, TOOK_PART, RATED, DID, OWNER, SOLD = (
    UUID(int=number) for number in range(101, 112)
)
NAMES = {
    text_of(HOLDER): "holder", text_of(REPLIED): "replied", text_of(RESOLVED): "resolved",
    text_of(RESOLVED_FIRST): "resolved first", text_of(CONTACTED): "contacted", text_of(QUALIFIED): "qualified",
    text_of(TOOK_PART): "took part", text_of(RATED): "rated", text_of(DID): "did", text_of(OWNER): "owner",
    text_of(SOLD): "sold",
}  # fmt: skip


def by(person: UUID) -> Credit:
    return Credit(person_id=person, team_id=None)


TICKET: dict[str, Any] = {
    "agent_id": HOLDER, "opened_at": moment("2026-03-10T08:00"),
    "first_responded_at": moment("2026-03-10T08:05"), "first_responded_by": by(REPLIED),
    "first_response_business_seconds": 300, "resolution_business_seconds": 600,
    "resolved_at": moment("2026-03-10T12:00"), "resolved_by": by(RESOLVED),
    "first_resolved_at": moment("2026-03-10T09:00"), "first_resolved_by": by(RESOLVED_FIRST),
    "first_response_due_at": moment("2026-03-10T09:00"), "inbound_count": 1,
    "waits": [Wait(since=moment("2026-03-10T08:00"), until=moment("2026-03-10T08:05"), answered_by=by(REPLIED))],
}  # fmt: skip
STATES: list[tuple[str, State | Interaction]] = [
    ("account", facts.account(owner_id=OWNER)),
    ("lead", facts.lead(owner_id=HOLDER, contacted_at=moment("2026-03-10T09:00"), contacted_by=by(CONTACTED),
                        qualified_at=moment("2026-03-10T10:00"), qualified_by=by(QUALIFIED),
                        converted_at=moment("2026-03-10T11:00"))),
    ("deal", facts.deal(owner_id=SOLD, stage="won", closed_at=moment("2026-03-11T08:00"),
                        amount=facts.eur(10), reporting_amount=facts.eur(10))),
    ("deal", facts.deal(owner_id=SOLD, stage="proposal", amount=facts.eur(10))),
    ("ticket", facts.ticket(**TICKET)),
    ("ticket", facts.ticket(agent_id=HOLDER, kind="presales_question", opened_at=moment("2026-03-10T08:00"))),
    ("ticket", facts.ticket(**TICKET | {"onboarding_since": moment("2026-03-10T08:00")})),
    ("ticket", facts.ticket(agent_id=HOLDER, onboarding_since=moment("2026-03-10T08:00"))),
    ("interaction", facts.interaction(agent_id=TOOK_PART)),
    ("survey", facts.survey(agent_id=RATED, answered_at=moment("2026-03-11T08:00"), score=5, recommendation=10,
                            effort=7, answer_source="customer")),
    ("activity", facts.activity(owner_id=DID, due_at=moment("2026-03-11T08:00"))),
    ("training", facts.training(agent_id=DID)),
    ("checkin", facts.check_in(agent_id=DID, due_on=facts.DAY)),
    ("maintenance", facts.maintenance(agent_id=DID)),
    ("upsell", facts.upsell(agent_id=DID)),
]  # fmt: skip
"""Everything has one owner now, and other people have done what has been done."""

CREDITED = {
    "leads_created": "holder",
    "lead_conversion_rate": "holder",
    "qualification_rate": "holder",
    "qualification_rate period": "qualified",
    "lead_response_minutes": "contacted",
    "sales_volume": "sold",
    "revenue": "sold",
    "win_rate": "sold",
    "average_deal_size": "sold",
    "units_sold": "sold",
    "sales_cycle_days": "sold",
    "pipeline_value": "sold",
    "weighted_pipeline": "sold",
    "activities_completed": "did",
    "follow_ups_on_time": "did",
    "csat": "rated",
    "nps": "rated",
    "ces": "rated",
    "survey_response_rate": "rated",
    "resolution_rate": "holder",
    "resolution_rate period": "resolved",
    "tickets_resolved": "resolved",
    "resolution_hours": "resolved",
    "resolution_hours business_mean": "resolved",
    "first_contact_resolution": "resolved",
    "first_contact_resolution no_reopen_7d": "resolved first",
    "sla_attainment": "resolved",
    "reopen_rate": "holder",
    "first_response_minutes": "replied",
    "first_response_minutes business_mean": "replied",
    "answered_within_hour": "holder",
    "waiting_now": "holder",
    "longest_wait_minutes": "replied",
    "longest_wait_minutes sales": "contacted",
    "reply_minutes": "replied",
    "tickets_opened": "holder",
    "backlog": "holder",
    "unattended_now": "holder",
    "pre_sales_questions": "holder",
    "average_handle_time": "took part",
    "onboarding_days": "resolved",
    "onboardings_open": "holder",
    "training_delivered": "did",
    "check_ins_completed": "did",
    "maintenance_done_on_time": "did",
}


def owners_of(kpi: str, variant: str) -> set[str]:
    """Return whose the numerator of a variant is, over all the states together."""
    sums: Counter[str | None] = Counter()
    formula = KPIS[kpi].variants[variant]
    for kind, posting in _postings():
        for term in formula.numerator.terms:
            if term.measure.kind == kind.name:
                sums[posting.dimensions[kind.dimensions.index("owner")]] += posting.measures[term.measure.position]
    return {NAMES[owner] for owner, amount in sums.items() if amount}


def _postings() -> list[tuple[Kind, Posting]]:
    return [
        (kind, posting)
        for kind, state in ((KIND_BY_NAME[name], state) for name, state in STATES)
        for posting in kind.postings_for(state, VILNIUS)
        if not posting.split
    ]


@pytest.mark.parametrize("name", CREDITED)
def test_each_number_is_credited_to_who_did_the_work(name: str) -> None:
    kpi, _, variant = name.partition(" ")
    assert owners_of(kpi, variant or KPIS[kpi].default_variant) <= {CREDITED[name]}


@pytest.mark.parametrize("name", [name for name in CREDITED if name not in {"units_sold", "reopen_rate"}])
def test_the_states_of_the_table_count_in_each_number(name: str) -> None:
    kpi, _, variant = name.partition(" ")
    assert owners_of(kpi, variant or KPIS[kpi].default_variant) == {CREDITED[name]}


def test_work_that_no_event_names_a_person_for_belongs_to_its_owner() -> None:
    unnamed = {name: None for name in TICKET if name.endswith("_by") or name == "waits"}
    kind = KIND_BY_NAME["ticket"]
    postings = kind.postings_for(facts.ticket(**TICKET | unnamed), VILNIUS)
    assert {posting.dimensions[kind.dimensions.index("owner")] for posting in postings} == {text_of(HOLDER)}


@pytest.mark.parametrize("kpi", [kpi for kpi in KPIS.values() if "owner" in kpi.dimensions], ids=lambda kpi: kpi.name)
def test_the_document_says_of_each_number_whose_it_is(kpi: Any) -> None:
    assert all(above and below for above, below in credits_of(kpi))
