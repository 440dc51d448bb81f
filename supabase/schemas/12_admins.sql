-- Who may read billing operations. Owners and admins of any organization do: they are global operational data, so a person who is
-- an admin in organization A and a member in B sees the same alerts and runs as any other admin. Intentional.

create table billing_ops.admins (
  user_id uuid primary key,
  added_at timestamptz not null default now(),
  note text
);
comment on table billing_ops.admins is
  'People who may read billing operations whatever the app''s own tables say. Written by the owner of the database only.';
comment on column billing_ops.admins.user_id is 'The id of their Supabase Auth user.';
comment on column billing_ops.admins.added_at is 'Since when.';
comment on column billing_ops.admins.note is 'Who they are, or why they are here.';
alter table billing_ops.admins enable row level security;
revoke all on billing_ops.admins from public, anon, authenticated, service_role;

create function billing_ops.is_admin()
returns boolean
language plpgsql stable security definer
set search_path = ''
as $$
begin
  return exists (select 1 from billing_ops.admins a where a.user_id = auth.uid()) or billing_ops.adapter_is_admin(auth.uid());
end
$$;
comment on function billing_ops.is_admin() is
  'True for a caller who is listed in billing_ops.admins, or is an admin by the adopted mapping''s "admins". Definer: the caller may
  read neither.';

create function billing_ops.caller_standing()
returns text
language plpgsql stable
set search_path = ''
as $$
declare
  v_claims jsonb := auth.jwt();
begin
  if auth.uid() is null
    or coalesce((v_claims ->> 'is_anonymous')::boolean, false)
    or not coalesce(v_claims -> 'aud' ? 'authenticated', false)
  then
    return 'unauthorized';
  end if;
  if not billing_ops.is_admin() then
    return 'forbidden';
  end if;
  return 'ok';
exception when invalid_text_representation then
  return 'unauthorized';
end
$$;
comment on function billing_ops.caller_standing() is
  'ok for an admin; forbidden for another person; unauthorized for an anonymous sign-in, a token of another audience or
  one that names no person. The signature and the expiry were checked by PostgREST before.';
