"""Steps of onboardings, and their templates, over HTTP."""

from fastapi import Response

from event_contracts.catalogue import SERVICE_TOPIC
from service_api.agents import Agent, AgentRead
from service_api.attribution import WorkDoneRequest, amend_work, finish_by_agent
from service_api.customers.model import Customer
from service_api.customers.schemas import CustomerRead
from service_api.onboardings import use_cases
from service_api.onboardings.model import OnboardingStep, OnboardingTemplate
from service_api.onboardings.schemas import (
    OnboardingStepCreate,
    OnboardingStepRead,
    OnboardingStepUpdate,
    OnboardingTemplateCreate,
    OnboardingTemplateRead,
    OnboardingTemplateUpdate,
)
from service_api.teams import Team, TeamRead
from service_kit.fields import Code, Day, Flag, Identifier, Moment
from service_kit.history.own_events import OwnEvents
from service_kit.lists.includes import included
from service_kit.locking import lock
from service_kit.planned_work.overdue import overdue
from service_kit.planned_work.routes import planned_work_routes
from service_kit.planned_work.schemas import WorkStatusField
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.versions import Expected

onboarding_steps = Resource(
    "/onboarding-steps/{onboarding_step_id}",
    OnboardingStep.table,
    OnboardingStepRead,
    filters={
        "customer_id": Identifier,
        "agent_id": Identifier,
        "team_id": Identifier,
        "ticket_id": Identifier,
        "deal_id": Identifier,
        "step": Code,
        "product": Code,
        "status": WorkStatusField,
        "purpose": Code,
        "due_on": Day,
        "completed_at": Moment,
    },
    more_filters=[overdue(OnboardingStep.table, "due_on")],
    tag="onboardings",
    sorts=("due_on", "completed_at"),
    includes={
        "agent": included("agent_id", Agent.table, AgentRead),
        "team": included("team_id", Team.table, TeamRead),
        "customer": included("customer_id", Customer.table, CustomerRead),
    },
    own_events=OwnEvents(SERVICE_TOPIC, "onboardingsteps", key=("keyed_by", "customer_id")),
)
onboarding_steps.read_routes(list_as="list_onboarding_steps", get_as="get_onboarding_step")

onboarding_templates = Resource(
    "/onboarding-templates/{template_id}",
    OnboardingTemplate.table,
    OnboardingTemplateRead,
    filters={"product": Code, "active": Flag},
    tag="onboardings",
    sorts=("name",),
)
onboarding_templates.read_routes(list_as="list_onboarding_templates", get_as="get_onboarding_template")


@onboarding_steps.routes.post("", status_code=201, summary="Plan a step of an onboarding")
async def plan_onboarding_step(
    body: OnboardingStepCreate, work: Work, response: Response, by: By
) -> OnboardingStepRead:
    """Plan one more step of an onboarding, besides those that its template planned when the deal was won."""
    return onboarding_steps.show_created(response, await use_cases.plan_step(work, body, by))


@onboarding_steps.routes.patch("/{onboarding_step_id}", summary="Correct a step of an onboarding")
async def update_onboarding_step(
    onboarding_step_id: Identifier,
    body: OnboardingStepUpdate,
    work: Work,
    response: Response,
    by: By,
    expected: Expected,
) -> OnboardingStepRead:
    """Correct what was recorded wrongly, or give the step to another agent: it counts as if it had been so.

    The due day of the promised delivery is sales': 409.
    """
    step = await lock(work, OnboardingStep, onboarding_step_id, expected)
    return onboarding_steps.show(response, await amend_work(work, step, body, by))


@onboarding_steps.routes.post("/{onboarding_step_id}/done", summary="Record that a planned onboarding step was done")
async def finish_onboarding_step(
    onboarding_step_id: Identifier, body: WorkDoneRequest, work: Work, response: Response, expected: Expected, by: By
) -> OnboardingStepRead:
    """Record that what was planned was done; by its due day it is on time.

    The promised delivery is done by `POST /v1/deliveries`: 409.
    """
    step = await finish_by_agent(work, OnboardingStep, onboarding_step_id, body, by, expected)
    return onboarding_steps.show(response, step)


planned_work_routes(onboarding_steps, OnboardingStep)


@onboarding_templates.routes.post("", status_code=201, summary="Declare an onboarding template")
async def create_onboarding_template(
    body: OnboardingTemplateCreate, work: Work, response: Response
) -> OnboardingTemplateRead:
    """Declare the steps that bring a product into use: a won deal opens its onboarding with them.

    Of several templates of one product that are in use, the newest holds.
    """
    return onboarding_templates.show_created(response, await use_cases.create_template(work, body))


@onboarding_templates.routes.patch("/{template_id}", summary="Change an onboarding template")
async def change_onboarding_template(
    template_id: Identifier, body: OnboardingTemplateUpdate, work: Work, response: Response, expected: Expected
) -> OnboardingTemplateRead:
    """Change what is planned for deals that are won from now on, or take it out of use. What was planned stays."""
    return onboarding_templates.show(response, await use_cases.change_template(work, template_id, body, expected))
