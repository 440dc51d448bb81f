-- For mutants: replaces a part of a function's text, and raises where the function does not hold it.
create function pg_temp.rewrite(p_function regproc, p_from text, p_to text) returns void language plpgsql as $$
declare
  v_text text := pg_get_functiondef(p_function);
begin
  if position(p_from in v_text) = 0 then
    raise exception '% does not hold: %', p_function, p_from;
  end if;
  execute replace(v_text, p_from, p_to);
end
$$;
