-- What only a superuser can make, for refusals.test.sql: a wrapper for a foreign table, and a table of another role's.
create foreign data wrapper nowhere;
grant usage on foreign data wrapper nowhere to postgres;
create table auth.plans (id uuid primary key, owner uuid, sub text unique, status text);
alter table auth.plans owner to supabase_auth_admin;
