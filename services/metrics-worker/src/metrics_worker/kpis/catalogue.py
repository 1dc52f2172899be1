"""Every KPI there is."""

from collections.abc import Iterable, Mapping

from metrics_worker.domain.account import AccountMeasures as Account
from metrics_worker.domain.deal import DealMeasures as Deal
from metrics_worker.domain.lead import LeadMeasures as Lead
from metrics_worker.domain.measure import Measure, Sum
from metrics_worker.domain.survey import SurveyMeasures as Survey
from metrics_worker.domain.ticket import TicketMeasures as Ticket
from metrics_worker.kpis.formula import Kpi
from metrics_worker.kpis.joint import JOINT
from metrics_worker.kpis.sales import SALES
from metrics_worker.kpis.service import SERVICE


def by_name(kpis: Iterable[Kpi]) -> dict[str, Kpi]:
    """Return KPIs by their names. Raise ValueError on a name used twice."""
    found: dict[str, Kpi] = {}
    for kpi in kpis:
        if kpi.name in found:
            raise ValueError(f"KPI {kpi.name} is declared twice")
        found[kpi.name] = kpi
    return found


KPIS: dict[str, Kpi] = by_name((*JOINT, *SALES, *SERVICE))
"""By name, in the order in which the API and its document list them."""

ENDED: Mapping[Measure, Sum] = {
    Account.customers: Account.customers.at_start() + Account.registered - Account.customers,
    Deal.pipeline_deals: Deal.won + Deal.lost,
    Deal.pipeline_value: Deal.won + Deal.lost,
    Deal.pipeline_weighted: Deal.won + Deal.lost,
    Lead.waiting: Lead.waiting.at_start() + Lead.created - Lead.waiting,
    Survey.waiting: Survey.waiting.at_start() + Survey.waits - Survey.waiting,
    Ticket.backlog: Ticket.backlog.at_start() + Ticket.opened - Ticket.backlog,
    Ticket.unattended: Ticket.unattended.at_start() + Ticket.opened - Ticket.unattended,
    Ticket.waiting: Ticket.waiting.at_start() + Ticket.waits - Ticket.waiting,
}
"""How many subjects a semi-additive measure loses over a period. It lacks those of which no measures know that."""
