#!/bin/sh
# psql for pg_prove, which cuts a connection string at its first "=", so the string comes from the environment.
exec psql --dbname "$SQL_TEST_URL" "$@"
