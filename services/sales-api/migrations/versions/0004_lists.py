"""What lists need: when each record changed, and the indexes of their filters, orders and search."""

from alembic import op

from service_kit.migration_tables import add_updated_at, create_list_indexes, create_name_index, create_search_index

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and indexes. Each table is locked for as long as its indexes take."""
    add_updated_at("account")
    create_list_indexes("account", "registered_at")
    create_name_index("account", "name")
    create_search_index("account", "name", "external_ref")
    add_updated_at("lead")
    create_list_indexes("lead", "created_at", "contacted_at", "converted_at")
    create_name_index("lead", "name")
    create_name_index("lead", "company")
    create_search_index("lead", "name", "company", "email", "external_ref", phones=("phone",))
    add_updated_at("deal")
    create_list_indexes("deal", "amount", "opened_at", "expected_close_on", "closed_at")
    create_name_index("deal", "title")
    create_search_index("deal", "title", "external_ref")
    add_updated_at("activity")
    create_list_indexes("activity", "due_at", "completed_at")
    add_updated_at("referral")
    create_list_indexes("referral", "recorded_at")
    add_updated_at("quota")
    create_list_indexes("quota", "period_start", "period_end", "target")
    add_updated_at("product")
    create_list_indexes("product", "active")
    create_name_index("product", "name")
    create_search_index("product", "name", "code")
    add_updated_at("rep")
    create_list_indexes("rep", "active", "region")
    create_name_index("rep", "name")
    create_search_index("rep", "name", "external_ref")
    add_updated_at("team")
    create_name_index("team", "name")
    create_search_index("team", "name", "external_ref")
    add_updated_at("exchange_rate")
    create_list_indexes("exchange_rate", "on")


def downgrade() -> None:
    """Take them away."""
    op.drop_index("account_search_idx", "account")
    op.drop_index("account_name_name_idx", "account")
    op.drop_index("account_registered_at_id_idx", "account")
    op.drop_column("account", "updated_at")
    op.drop_index("lead_search_idx", "lead")
    op.drop_index("lead_name_name_idx", "lead")
    op.drop_index("lead_company_name_idx", "lead")
    op.drop_index("lead_created_at_id_idx", "lead")
    op.drop_index("lead_contacted_at_id_idx", "lead")
    op.drop_index("lead_converted_at_id_idx", "lead")
    op.drop_column("lead", "updated_at")
    op.drop_index("deal_search_idx", "deal")
    op.drop_index("deal_title_name_idx", "deal")
    op.drop_index("deal_amount_id_idx", "deal")
    op.drop_index("deal_opened_at_id_idx", "deal")
    op.drop_index("deal_expected_close_on_id_idx", "deal")
    op.drop_index("deal_closed_at_id_idx", "deal")
    op.drop_column("deal", "updated_at")
    op.drop_index("activity_due_at_id_idx", "activity")
    op.drop_index("activity_completed_at_id_idx", "activity")
    op.drop_column("activity", "updated_at")
    op.drop_index("referral_recorded_at_id_idx", "referral")
    op.drop_column("referral", "updated_at")
    op.drop_index("quota_period_start_id_idx", "quota")
    op.drop_index("quota_period_end_id_idx", "quota")
    op.drop_index("quota_target_id_idx", "quota")
    op.drop_column("quota", "updated_at")
    op.drop_index("product_search_idx", "product")
    op.drop_index("product_name_name_idx", "product")
    op.drop_index("product_active_id_idx", "product")
    op.drop_column("product", "updated_at")
    op.drop_index("rep_search_idx", "rep")
    op.drop_index("rep_name_name_idx", "rep")
    op.drop_index("rep_active_id_idx", "rep")
    op.drop_index("rep_region_id_idx", "rep")
    op.drop_column("rep", "updated_at")
    op.drop_index("team_search_idx", "team")
    op.drop_index("team_name_name_idx", "team")
    op.drop_column("team", "updated_at")
    op.drop_index("exchange_rate_on_id_idx", "exchange_rate")
    op.drop_column("exchange_rate", "updated_at")
