-- applied: none
-- A project from before 2026-10-30: whatever is created in public is granted to everybody by itself.

alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
alter default privileges grant execute on functions to public;
