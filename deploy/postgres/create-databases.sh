#!/usr/bin/env bash
# Gives each service a database and a role of its own; the image runs this once, on an empty volume.
set -euo pipefail

create() {
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set name="$1" --set password="$2" <<'SQL'
create role :"name" login password :'password';
create database :"name" owner :"name" template template0 encoding 'UTF8' locale 'C';
revoke connect on database :"name" from public;
SQL
}

create sales "${SALES_DATABASE_PASSWORD:?}"
create service "${SERVICE_DATABASE_PASSWORD:?}"
create metrics "${METRICS_DATABASE_PASSWORD:?}"
