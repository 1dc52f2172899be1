#!/usr/bin/env bash
# Gives each service a database, an owner that migrates it, and a role for each of its processes; what these may do is
# granted by the migration. The image runs this once, on an empty volume.
set -euo pipefail

sql() {
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres "$@"
}

# The password of a role such as sales_api is in SALES_API_DATABASE_PASSWORD.
create_role() {
  local variable=${1^^}_DATABASE_PASSWORD
  sql --set name="$1" --set password="${!variable:?}" <<<"create role :\"name\" login password :'password';"
}

create() {
  create_role "$1"
  sql --set name="$1" <<'SQL'
create database :"name" owner :"name" template template0 encoding 'UTF8' locale 'C';
revoke all on database :"name" from public;
SQL
  for process in "${@:2}"; do
    create_role "$1_$process"
  done
}

create sales api relay consumer
create service api relay consumer
create metrics api consumer jobs bi
