#!/usr/bin/env bash
# Tests installing, with the Supabase CLI: beside apps that have migrations of their own (the fixtures, each a folder and a database)
# and into an empty project. Proves that each push succeeds in any order, that installing and upgrading change nothing of
# the app's, that scripts/install.sh writes what it should and refuses what it must, and that supabase/uninstall.sql leaves
# what was there before. Ends by planting faults, because a comparison that cannot fail proves nothing.
#
# Needs node and npm. As root or not.

# Most functions are called by check and its like.
# shellcheck disable=SC2317,SC2329

# shellcheck source=lib/cluster.sh
. "$(dirname "$0")/lib/cluster.sh"
need npm nodejs
started=$SECONDS
tests="$repo_root/supabase/tests/adapter"
fixtures="$repo_root/supabase/fixtures"
install="$repo_root/scripts/install.sh"
uninstall="$repo_root/supabase/uninstall.sql"

tools="$repo_root/supabase/tools"
# As in lint-sql.sh.
[ -x "$tools/node_modules/.bin/supabase" ] ||
  npm install --prefix "$tools" --no-save --no-audit --no-fund --loglevel=error
export PGSSLMODE=disable

# Apps: a folder, and a database of the same name ----------------------------------------------------------------------------

folder() { echo "$cluster_dir/apps/$1"; }
migrations() { echo "$cluster_dir/apps/$1/supabase/migrations"; }
new_folder() { mkdir -p "$(migrations "$1")"; }
new_app() {
  new_database "$1"
  new_folder "$1"
}
cli() {
  local name="$1"
  shift
  "$tools/node_modules/.bin/supabase" "$@" --remote="$(database_url "$name")" --workdir "$(folder "$name")" --agent no
}
push() {
  local name="$1"
  shift
  cli "$name" db push --yes "$@"
}
run() {
  local name="$1"
  shift
  psql "$(database_url "$name")" -q -v ON_ERROR_STOP=1 "$@" >/dev/null
}
ask() { psql "$(database_url "$1")" -qAt -v ON_ERROR_STOP=1 -c "$2"; }

# its_schema NAME SHAPE [TIMESTAMP], its_next NAME SHAPE: the app's own migrations, one from before ours and one from after.
its_schema() { cp "$fixtures/$2.sql" "$(migrations "$1")/${3:-20240101000000}_app.sql"; }
its_next() {
  local table
  case "$2" in
    better_auth) table=public.subscription ;;
    basejump) table=basejump.billing_subscriptions ;;
    saas_starter) table=public.teams ;;
    bigint_enum) table=app.contracts ;;
  esac
  echo "create table public.next (id integer primary key);
    alter table public.next enable row level security;
    alter table $table add column next text;" >"$(migrations "$1")/20991231000000_next.sql"
}
install() { "$install" "$(folder "$1")"; }
# adopt NAME SHAPE
adopt() {
  local mapping="billing_ops.detect() -> 0 -> 'mapping' || '{\"writes\": \"update\"}'"
  [ "$2" != bigint_enum ] || mapping="'{\"table\": \"app.contracts\", \"key\": \"contract_id\", \"stripe_subscription_id\": \"stripe_sub\",
    \"owner\": {\"column\": \"tenant_id\"}, \"status\": \"state\", \"tier\": \"plan\", \"on_insert\": {\"note\": \"new\"},
    \"writes\": \"update_and_insert\"}'"
  run "$1" -c "select billing_ops.adopt($mapping)"
}
# forget NAME PLACE: takes ours off the record, by the first or second of the statements that uninstall.sql has for it.
forget() { run "$1" -c "$(grep -o 'delete from supabase_migrations\..*' "$uninstall" | sed -n "$2p")"; }
adopted() { [ "$(ask "$1" "select billing_ops.adapter_state() ->> 'fingerprint_ok'")" = true ]; }

# Checks ---------------------------------------------------------------------------------------------------------------------

failed=0
# report OUTCOME WHAT: OUTCOME is ok or anything else. Each job has its own $log.
report() {
  if [ "$1" = ok ]; then
    echo "ok      $2"
  else
    echo "FAILED  $2"
    sed 's/^/        /' "$log" | head -30
    failed=1
  fi
}
# check WHAT COMMAND...
check() {
  local what="$1" outcome=ok
  shift
  "$@" >"$log" 2>&1 || outcome=failed
  report "$outcome" "$what"
}
# refuses WHAT SENTENCE COMMAND...: it fails and says so.
refuses() {
  local what="$1" sentence="$2" outcome=failed
  shift 2
  "$@" >"$log" 2>&1 || ! grep -qF -- "$sentence" "$log" || outcome=ok
  report "$outcome" "$what"
}
# notices WHAT COMMAND...: a check of this script, after a fault was planted.
notices() {
  local what="$1" outcome=ok
  shift
  ! "$@" >"$log" 2>&1 || outcome=failed
  report "$outcome" "the test notices $what"
}

# in_step NAME: `migration list` has each of the folder's migrations, all applied.
in_step() {
  diff <(cd "$(migrations "$1")" && printf '%s\n' *.sql | sed -E 's/^([0-9]+)_.*/"local":"\1","remote":"\1"/' | sort) \
    <(cli "$1" migration list --output-format json | grep -o '"local":"[^"]*","remote":"[^"]*"' | sort)
}

# Ours in public, as a database has them that has nothing else: what the next three know of.
list_ours() {
  local ours
  ours="$(psql "$(database_url alone supabase_admin)" -qAt -v ON_ERROR_STOP=1 -c "set search_path = ''" -c "
    select pg_catalog.format('(%L, %L)', case when c.relkind in ('r', 'p') then 'table' else 'other' end, c.oid::regclass)
    from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind not in ('i', 'S')
    union all
    select pg_catalog.format('(%L, %L)', 'routine', p.oid::regprocedure) from pg_proc p where p.pronamespace = 'public'::regnamespace")"
  ! grep "'other'" <<<"$ours" || die "there is more of ours in public than tables and functions"
  echo "from (values $(paste -sd, <<<"$ours")) ours (kind, name)
    where case kind when 'table' then to_regclass(name)::oid else to_regprocedure(name)::oid end is not null" >"$cluster_dir/ours.sql"
}
# listing NAME FILE: the app's catalog or rights. Ours are moved, for a moment, to where these do not look.
listing() {
  psql "$(database_url "$1" supabase_admin)" -qAt -v ON_ERROR_STOP=1 -c begin -c "do \$\$ declare statement text; begin
      create schema if not exists billing_ops;
      for statement in select format('alter %s %s set schema billing_ops', kind, name) $(cat "$cluster_dir/ours.sql") loop
        execute statement;
      end loop;
    end \$\$" -f "$tests/$2.sql" -c rollback
}
nothing_left() {
  ask "$1" "select kind, name $(cat "$cluster_dir/ours.sql") union all select 'schema', nspname from pg_namespace
    where nspname = 'billing_ops'" >"$log.left"
  diff /dev/null "$log.left"
}
remember() {
  listing "$1" catalog >"$cluster_dir/$1.catalog"
  listing "$1" rights >"$cluster_dir/$1.rights"
  [ "$(wc -l <"$cluster_dir/$1.catalog")" -gt 50 ] || die "the catalog of $1 is suspiciously short"
}
# same WHAT NAME [DATABASE]: as it was when NAME was remembered.
same() { diff "$cluster_dir/$2.$1" <(listing "${3:-$2}" "$1"); }
untouched() { same catalog "$1" && same rights "$1"; }
as_before() { same catalog "$1" "${2:-$1}" && same rights "$1" "${2:-$1}" && nothing_left "${2:-$1}"; }
same_definition() { diff <(definition "$1") <(definition "$2"); }

# state NAME: what is in an app's folder, to the byte.
state() { (cd "$(migrations "$1")" && find . -type f -exec cksum {} + | sort -k 3); }
# leaves NAME COMMAND...: the folder is as it was after it, however it ends. The command's status stands.
leaves() {
  local before name="$1" status=0
  shift
  before="$(state "$name")"
  "$@" || status=$?
  [ "$(state "$name")" = "$before" ] || { echo "the folder has changed"; return 0; }
  return "$status"
}
installs_nothing() { leaves "$1" install "$1" | grep "already; nothing was changed"; }

# Beside the fixtures --------------------------------------------------------------------------------------------------------

beside() {
  local shape="$1"
  # As for everybody who has an app already: it, then ours, then it again.
  new_app "$shape"
  its_schema "$shape" "$shape"
  check "$shape: the app pushes its own" push "$shape"
  remember "$shape"
  check "$shape: install.sh writes a migration" install "$shape"
  check "$shape: a second time, it writes none" installs_nothing "$shape"
  check "$shape: pushed after the app's" push "$shape"
  check "$shape: nothing of the app's is changed, nor who may do what" untouched "$shape"
  its_next "$shape" "$shape"
  check "$shape: the app pushes its next" push "$shape"
  check "$shape: all are in step" in_step "$shape"
  remember "$shape"
  new_database "${shape}_unadopted" "$shape"
  check "$shape: uninstalls" run "${shape}_unadopted" -f "$uninstall"
  check "$shape: and is as before" as_before "$shape" "${shape}_unadopted"
  check "$shape: adopts" adopt "$shape" "$shape"
  check "$shape: and nothing of the app's is changed" same catalog "$shape"
  check "$shape: uninstalls, adopted" run "$shape" -f "$uninstall"
  check "$shape: and is as before" as_before "$shape"

}

# without_us SHAPE NAME: what the app's own migrations make of a database that we have never been in.
without_us() {
  new_database "$1_alone"
  run "$1_alone" -1 -f "$fixtures/$1.sql"
  run "$1_alone" -1 -f "$(migrations "$2")/20991231000000_next.sql"
}
together() {
  local shape="$1" name="$1_together"
  new_app "$name"
  its_schema "$name" "$shape"
  install "$name" >/dev/null
  its_next "$name" "$shape"
  check "$shape: all three in one push" push "$name"
  check "$shape: adopts, then" adopt "$name" "$shape"
  run "$name" -f "$uninstall"
  without_us "$shape" "$name"
  check "$shape: and is, uninstalled, as without us" same_definition "${shape}_alone" "$name"
}
ours_first() {
  local shape="$1" name="$1_first"
  new_app "$name"
  install "$name" >/dev/null
  check "$shape: ours first, into a folder that is empty" push "$name"
  check "$shape: the CLI makes of it what psql does" same_definition alone "$name"
  its_schema "$name" "$shape" 20991230000000
  its_next "$name" "$shape"
  check "$shape: then the app's" push "$name"
  run "$name" -f "$uninstall"
  without_us "$shape" "$name"
  check "$shape: and is, uninstalled, as without us" same_definition "${shape}_alone" "$name"
}

# From the first install to the last uninstall, beside the fifth shape --------------------------------------------------------

life() {
  local file newer="$cluster_dir/newer" first second
  new_app life
  its_schema life vercel
  install life >/dev/null
  file="$(echo "$(migrations life)"/*_billing_ops.sql)"
  first="$(basename "$file")"
  check "what is written is what is printed" diff "$file" "$cluster_dir/printed.sql"
  cp "$file" "$cluster_dir/whole.sql"
  echo "select 1 / 0;" >>"$file"
  refuses "a migration that fails in its last line is not pushed" "division by zero" push life
  check "and nothing is half done" nothing_left life
  remember life
  cp "$cluster_dir/whole.sql" "$file"
  check "whole, it is pushed" push life
  check "nothing of the app's is changed, nor who may do what" untouched life

  echo "create table public.older (id integer);" >"$(migrations life)/20250601000000_older.sql"
  refuses "the CLI wants to be told of a migration that looks older" "--include-all" push life
  check "and takes it with --include-all" push life --include-all
  remember life
  new_database life_unadopted life
  check "uninstalls" run life_unadopted -f "$uninstall"
  check "and is as before" as_before life life_unadopted
  check "adopts the table that is proposed" run life -c "select billing_ops.adopt()"
  check "and nothing of the app's is changed" same catalog life
  new_database life_adopted life

  mkdir -p "$newer/supabase"
  cp -r "$repo_root/scripts" "$newer/scripts"
  cp -r "$repo_root/supabase/migrations" "$newer/supabase/migrations"
  sed 's/^version = ".*"/version = "99.0.0"/' "$repo_root/Cargo.toml" >"$newer/Cargo.toml"
  # Its last line has no end.
  printf '%s' "create function billing_ops.newer() returns integer language sql set search_path = '' return 1;" \
    >"$newer/supabase/migrations/20991231000001_newer.sql"
  check "an upgrade writes one more migration" "$newer/scripts/install.sh" "$(folder life)"
  second="$(cd "$(migrations life)" && printf '%s\n' *_billing_ops.sql | tail -n 1)"
  check "that holds what is new and no more" diff <(printf -- '-- billing-ops: %s\n' 20991231000001_newer "begin 20991231000001_newer") \
    <(grep -E '^-- billing-ops: (begin )?[0-9]' "$(migrations life)/$second")
  check "and names the version" grep -q "^-- billing-ops 99.0.0" "$(migrations life)/$second"
  check "it is pushed" push life
  check "all are in step" in_step life
  check "what was adopted stays so" adopted life
  check "a second time, the upgrade writes nothing" leaves life "$newer/scripts/install.sh" "$(folder life)"
  refuses "an older billing-ops does not know it" "20991231000001_newer, which billing-ops" leaves life install life

  run life -f "$uninstall"
  check "uninstalled, it is as before" as_before life
  rm "$(migrations life)"/*[0-9]_billing_ops.sql
  forget life 1
  check "the CLI neither misses it nor pushes it again" push life
  check "it is still as before" as_before life

  check "install.sh writes it anew" install life
  cp "$uninstall" "$(migrations life)/20991231000002_billing_ops_uninstall.sql"
  check "uninstalling can be a migration" push life
  check "then all are in step" in_step life
  check "and all is as before" as_before life
  check "install.sh knows that, and writes it anew" install life
  check "after it" diff "$(migrations life)/20991231000003_billing_ops.sql" "$cluster_dir/printed.sql"
  check "the first of all migrations was ${first%%_*}, later than the app's" test "$first" \> 20260101
}

# A project that is pushed from our own folder -------------------------------------------------------------------------------

own_folder() {
  new_database own
  mkdir -p "$(folder own)/supabase"
  ln -s "$repo_root/supabase/migrations" "$(migrations own)"
  check "an empty project takes our own folder" push own
  check "all are in step" in_step own
  check "its table is adopted" adopted own
  check "install.sh has nothing to add to our own folder" installs_nothing own
  run own -f "$uninstall"
  new_database base
  apply_migrations "$(database_url base)" "$repo_root/supabase/migrations/20250127000000_billing_base.sql"
  check "uninstalled, it has the base tables and nothing else" same_definition base own
  forget own 2
  check "it can be installed anew" push own
  check "and is as after the first time" adopted own
}

# An app that has the four of January 2025 among its own
with_the_four() {
  new_app four
  cp "$repo_root/supabase/migrations/20250127000000_billing_base.sql" "$(migrations four)/20240101000000_app.sql"
  cp "$repo_root"/supabase/migrations/2025012700000[1-4]_*.sql "$(migrations four)"
  check "an app that has the four of 2025 pushes them" push four
  remember four
  check "install.sh writes the rest" install four
  check "it is pushed" push four
  check "all are in step" in_step four
  check "nothing of the app's is changed, nor who may do what" untouched four
  check "a table of the first shape is adopted at once" adopted four
  run four -f "$uninstall"
  check "uninstalled, it is as before, without the two tables of 2025" as_before four
}

# What install.sh refuses ----------------------------------------------------------------------------------------------------

# spoil NAME SENTENCE WHAT SCRIPT: a copy of the installed migration, spoiled by sed, is refused.
spoil() {
  new_folder spoiled
  sed "$4" "$cluster_dir/printed.sql" >"$(migrations spoiled)/20261127120000_$1.sql"
  ! cmp -s "$cluster_dir/printed.sql" "$(migrations spoiled)/20261127120000_$1.sql" || die "nothing is spoiled any more: $4"
  refuses "$3" "$2" leaves spoiled install spoiled
  rm -r "$(folder spoiled)"
}
limited() { (ulimit -f 8 && install "$1"); }

rules() {
  local last
  last="$(cd "$repo_root/supabase/migrations" && printf '%s\n' *.sql | tail -n 1 | sed 's/\.sql$//')"
  mkdir -p "$(folder none)"
  refuses "a folder without supabase/migrations" "has no folder supabase/migrations" install none
  refuses "no folder" "usage:" "$install"
  refuses "an option that there is not" "usage:" "$install" --dry-run

  new_folder rules
  refuses "a disk that fills up leaves no half of a migration" "nothing was changed" leaves rules limited rules
  echo "select 1;" >"$(migrations rules)/20991231235959_far.sql"
  check "a folder whose newest is in the future" install rules
  check "gets a later timestamp" test -f "$(migrations rules)/20991231235960_billing_ops.sql"
  check "and the rights of any new file" test "$(stat -c %a "$(migrations rules)/20991231235960_billing_ops.sql")" \
    = "$(printf '%o' $((0666 & ~$(umask))))"
  sed -i 's/$/\r/' "$(migrations rules)/20991231235960_billing_ops.sql"
  check "lines that end as on Windows are no damage" installs_nothing rules
  mv "$(migrations rules)/20991231235960_billing_ops.sql" "$(migrations rules)/20991231235960_renamed.sql"
  check "nor is another name" installs_nothing rules
  echo "-- billing-ops: adopt our table
select billing_ops.adopt();" >"$(migrations rules)/20991231235961_adopt_billing_ops.sql"
  check "what adopts it is the app's" installs_nothing rules
  rm "$(migrations rules)"/*
  echo "select 1;" >"$(migrations rules)/99_last.sql"
  refuses "a migration that nothing can follow" "No timestamp sorts after" leaves rules install rules
  rm "$(migrations rules)"/*
  echo "select 1;" >"$(migrations rules)/0001_first.sql"
  check "migrations that are counted" install rules
  check "come before ours" test -n "$(find "$(migrations rules)" -name '2*_billing_ops.sql')"
  cp "$cluster_dir/printed.sql" "$(migrations rules)/20261127000000_copy.sql"
  refuses "ours twice" "which another migration there holds too" leaves rules install rules

  spoil billing_ops "$last has no end" "the last mark is lost" "\$d"
  spoil billing_ops "$last has no end" "the end of the file is lost" '/^-- billing-ops: begin '"$last"'/,$ { /begin/! d }'
  spoil billing_ops "is listed and not there" "the last of what is listed is not there" '/^-- billing-ops: begin '"$last"'/,$ d'
  spoil billing_ops "is not as it was written" "a line is lost" '/^comment on function billing_ops.adopt(jsonb)/d'
  spoil billing_ops "begins where it should not" "a name is lost from the list" '0,/^-- billing-ops: /{ /^-- billing-ops: /d }'
  spoil renamed "is not as it was written" "a line is added, in a file with another name" '/^create function billing_ops.adopt(/i -- new'
  spoil billing_ops "nothing in it says what it holds" "nothing of ours is in a file with our name" d
}

# Jobs, two at a time --------------------------------------------------------------------------------------------------------

cluster_start
log="$cluster_dir/log"

echo "== the migration"
new_database alone
"$install" --print >"$cluster_dir/printed.sql"
check "it applies in one transaction, to a database that has nothing" run alone -1 -f "$cluster_dir/printed.sql"
new_database separately
apply_migrations "$(database_url separately)" "$repo_root"/supabase/migrations/2026*.sql
check "and makes what its parts make, each in a transaction of its own" same_definition separately alone
list_ours

jobs=(life "beside better_auth" "beside basejump" "beside saas_starter" "beside bigint_enum"
  "together better_auth" "together bigint_enum" "ours_first basejump" "ours_first saas_starter"
  own_folder with_the_four rules)
for job in "${jobs[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n || true; done
  (
    log="$cluster_dir/${job// /_}"
    $job
    echo "$failed" >"$log.failed"
  ) >"$cluster_dir/${job// /_}.out" 2>&1 &
done
wait
for job in "${jobs[@]}"; do
  echo "== $job"
  cat "$cluster_dir/${job// /_}.out"
  # A job that stopped half-way has not said how it went.
  [ "$(cat "$cluster_dir/${job// /_}.failed" 2>/dev/null)" = 0 ] || failed=1
done

# Faults ---------------------------------------------------------------------------------------------------------------------

echo "== planted faults"
# planted FROM STATEMENT: a copy of a database, with a fault.
planted() {
  new_database fault "$1"
  run fault -c "$2"
}
# spoiled FAULT: a database that was adopted, from which an uninstall takes less than it should.
spoiled() {
  sed "$1" "$uninstall" >"$cluster_dir/uninstall.sql"
  ! cmp -s "$uninstall" "$cluster_dir/uninstall.sql" || die "nothing is spoiled any more: $1"
  new_database fault life_adopted
  run fault -f "$cluster_dir/uninstall.sql"
}
planted life_adopted "alter table public.customers add column ours text"
notices "a column on a table of the app's" same catalog life fault
planted life_adopted "alter table public.drift add foreign key (owner) references public.products (id)"
notices "a foreign key to one" same catalog life fault
planted life_unadopted "grant select on public.customers to service_role"
notices "a grant" as_before life fault
spoiled "/^ *'monitor_facts(text)'/d"
notices "a function that uninstalling forgets" as_before life fault
spoiled 's/perform billing_ops.unadopt()/null/'
notices "grants that uninstalling forgets" as_before life fault
forget better_auth 1
notices "a migration that is not on record" in_step better_auth
planted life_adopted "create view public.of_the_apps as select id from public.drift"
refuses "uninstalling refuses where a view of the app's is in the way" "view public.of_the_apps depends on table public.drift" \
  run fault -f "$uninstall"
check "and nothing is half done" adopted fault

echo "install: $((SECONDS - started)) s"
exit "$failed"
