-- The table that billing-ops began with is adopted where it is found, as nobody has it for anything else. Any other waits for its owner
-- to call billing_ops.adopt.

do $$
declare
  v_mapping jsonb := (
    select c -> 'mapping' from pg_catalog.jsonb_array_elements(billing_ops.detect()) c where c ->> 'preset' = 'seed');
begin
  if v_mapping is not null and not exists (select 1 from billing_ops.adoption) then
    perform billing_ops.adopt(v_mapping);
  end if;
exception when invalid_parameter_value or insufficient_privilege then
  raise warning 'public.subscriptions is not adopted, so nothing is reconciled yet: %', sqlerrm;
end
$$;
