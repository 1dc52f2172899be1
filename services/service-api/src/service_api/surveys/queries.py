"""Reads of surveys that no rule depends on."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from service_api.surveys.model import Survey
from service_api.surveys.schemas import SurveyFilters, SurveyView
from service_kit.filters import equal
from service_kit.paging import Page, PageView


async def list_surveys(
    session: AsyncSession, page: Page, filters: SurveyFilters, view: Callable[[Any], SurveyView]
) -> PageView[SurveyView]:
    """One page of the surveys that match every filter given, newest first; `view` shows a row."""
    survey: Any = Survey.__table__
    return await page.of(session, sa.select(survey).where(*equal(survey.c, vars(filters))), survey.c.id, view)
