# A scratch Postgres for the SQL scripts: a cluster of their own in a temporary folder, gone when the script ends.
# Source it, call cluster_start, then new_database NAME. As root the server runs as the user postgres (initdb refuses root).
#
# Sets: CLUSTER_PORT; repo_root. Functions: cluster_start, new_database, database_url, apply_migrations, apply_schemas,
# definition, die.
# Environment: PG_BIN (folder of initdb and pg_ctl; default: Debian's newest), PLATFORM_SQL (the platform's own objects).

set -euo pipefail
repo_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
PLATFORM_SQL="${PLATFORM_SQL:-$repo_root/devstack/sql/platform.sql}"
export PGSSLMODE="${PGSSLMODE:-prefer}" PGOPTIONS="${PGOPTIONS:-} -c client_min_messages=warning"

die() { echo "$(basename "$0"): $*" >&2; exit 2; }

need() { command -v "$1" >/dev/null || die "$1 is missing: apt-get install $2"; }

as_server_user() {
  if [ "$(id -u)" -eq 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

cluster_stop() {
  if [ -n "${cluster_dir:-}" ] && [ -d "$cluster_dir" ]; then
    as_server_user "$PG_BIN/pg_ctl" -D "$cluster_dir/data" -m immediate -s stop >/dev/null 2>&1 || true
    rm -rf "$cluster_dir"
  fi
}

cluster_start() {
  need psql postgresql-client
  if [ -z "${PG_BIN:-}" ]; then
    PG_BIN="$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)"
    [ -n "$PG_BIN" ] || die "no Postgres server: apt-get install postgresql postgresql-15-pgtap"
  fi
  [ -f "$PLATFORM_SQL" ] || die "$PLATFORM_SQL is missing"
  cluster_dir="$(mktemp -d)"
  trap cluster_stop EXIT
  if [ "$(id -u)" -eq 0 ]; then chown postgres "$cluster_dir"; fi
  (cd "$cluster_dir" && as_server_user "$PG_BIN/initdb" -D "$cluster_dir/data" -U supabase_admin -A trust \
    --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$cluster_dir/initdb.log" 2>&1) || die "initdb: $(cat "$cluster_dir/initdb.log")"
  local try
  for try in 1 2 3 4 5 6 7 8 9 10; do
    CLUSTER_PORT=$((20000 + RANDOM % 20000))
    # Durability is of no use to a cluster that lives for a minute.
    if (cd "$cluster_dir" && as_server_user "$PG_BIN/pg_ctl" -D "$cluster_dir/data" -l "$cluster_dir/data/log" -w -s start \
      -o "-p $CLUSTER_PORT -k $cluster_dir -c listen_addresses=127.0.0.1 -c fsync=off -c synchronous_commit=off \
          -c full_page_writes=off -c max_connections=50 ${CLUSTER_OPTIONS:-}") >/dev/null 2>&1
    then
      break
    fi
    [ "$try" -lt 10 ] || die "the server did not start: $(tail -5 "$cluster_dir/data/log")"
  done
  # The platform's roles belong to the cluster and its objects to the database postgres: scratch databases are copies of it.
  psql "$(database_url postgres supabase_admin)" -q -v ON_ERROR_STOP=1 -1 -f "$PLATFORM_SQL" >/dev/null
}

# database_url NAME [ROLE]: ROLE is postgres, which owns everything and is no superuser, like on hosted projects.
database_url() { echo "postgresql://${2:-postgres}@127.0.0.1:$CLUSTER_PORT/$1"; }

# new_database NAME [TEMPLATE]
new_database() {
  psql "$(database_url template1 supabase_admin)" -q -v ON_ERROR_STOP=1 \
    -c "drop database if exists \"$1\" with (force)" \
    -c "create database \"$1\" template \"${2:-postgres}\" owner postgres" >/dev/null
}

# apply_migrations URL [FILE...]: each in one transaction, in the order of their names; all of them if none is named.
apply_migrations() {
  local url="$1" file
  shift
  [ $# -gt 0 ] || set -- "$repo_root"/supabase/migrations/*.sql
  for file in "$@"; do
    psql "$url" -q -v ON_ERROR_STOP=1 -1 -f "$file" >/dev/null || die "$(basename "$file") does not apply"
  done
}

# apply_schemas URL: a database as supabase/schemas describes it, without the history of how it came to be.
apply_schemas() { apply_migrations "$1" "$repo_root"/supabase/schemas/*.sql; }

# definition NAME: all that a database is made of, with owners, grants and comments, as text that can be compared.
# Two things are evened out, as they mean nothing: the grants on one object, which come in the order in which they were
# given, and the lines \restrict and \unrestrict, which hold a random key. Everything else is as pg_dump sorts it, by kind
# and name. The order of columns stays: "insert" and row types rest on it.
definition() {
  "$PG_BIN/pg_dump" --schema-only "$(database_url "$1" supabase_admin)" | awk '
    /^\\(un)?restrict / { next }
    /^(GRANT|REVOKE) / { if (!sorting) { fflush(); sorting = 1 } print | "LC_ALL=C sort"; next }
    sorting { close("LC_ALL=C sort"); sorting = 0 }
    { print }'
}

# upgrade_files FOLDER: the migrations that a scenario's older database has not seen. Its first line names those it has.
upgrade_files() {
  local file applied
  applied="$(sed -n '1s/^-- applied: *//p' "$1/before.sql")"
  for file in "$repo_root"/supabase/migrations/*.sql; do
    case " $applied " in
      *" $(basename "$file" | cut -d_ -f1) "*) ;;
      *) echo "$file" ;;
    esac
  done
}
