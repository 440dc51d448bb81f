-- Owners and admins of any organization read billing operations. They are global operational data: a person who
-- is an admin in organization A and a member in B sees the same alerts and runs as any other admin. Intentional.

create schema if not exists billing_ops;
revoke all on schema billing_ops from public;

create or replace function billing_ops.is_admin()
returns boolean
language sql stable security definer
set search_path = ''
as $$
  select exists (
    select 1 from public.organization_members m
    where m.user_id = (select auth.uid()) and m.role::text in ('owner', 'admin')
  ) or exists (
    select 1 from public.users u
    -- By way of JSON, as an app's own table of people may have no such column yet.
    where u.id = (select auth.uid()) and pg_catalog.to_jsonb(u) ->> 'role' in ('owner', 'admin')
  )
$$;
comment on function billing_ops.is_admin() is
  'True for a caller who is owner or admin in any organization. Definer: the caller may not read memberships.';
revoke all on function billing_ops.is_admin() from public, anon, authenticated;
grant usage on schema billing_ops to authenticated;
grant execute on function billing_ops.is_admin() to authenticated;

revoke all on public.reconciliation_logs from public, anon, authenticated;
revoke all on public.billing_alerts from public, anon, authenticated;
grant select on public.reconciliation_logs to authenticated;
grant select on public.billing_alerts to authenticated;

drop policy if exists reconciliation_logs_admin_read on public.reconciliation_logs;
create policy reconciliation_logs_admin_read on public.reconciliation_logs
  for select to authenticated using ((select billing_ops.is_admin()));
comment on policy reconciliation_logs_admin_read on public.reconciliation_logs is 'Admins of any organization read.';

drop policy if exists billing_alerts_admin_read on public.billing_alerts;
create policy billing_alerts_admin_read on public.billing_alerts
  for select to authenticated using ((select billing_ops.is_admin()));
comment on policy billing_alerts_admin_read on public.billing_alerts is 'Admins of any organization read.';
