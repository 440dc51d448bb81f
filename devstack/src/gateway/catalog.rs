//! What the gateway knows of the database: the functions that can be called, and the roles' time limits.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result};
use deadpool_postgres::Pool;
use tokio_postgres::{AsyncMessage, NoTls};

/// One overload of a function in the schema `public`.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) returns: Returns,
    /// STABLE and IMMUTABLE functions run in a read-only transaction, whatever the method.
    pub(crate) read_only: bool,
    /// The function's own `set statement_timeout`, which PostgREST applies to the transaction: inside the function it
    /// would come too late.
    pub(crate) statement_timeout: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Argument {
    pub(crate) name: String,
    /// As SQL spells it, qualified.
    pub(crate) sql_type: String,
    pub(crate) required: bool,
    pub(crate) variadic: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returns {
    Nothing,
    Value,
    Values,
    Row,
    Rows,
}

type Functions = HashMap<String, Vec<Arc<Function>>>;

/// The functions of the schema `public`, read again when the database says `notify pgrst`.
#[derive(Debug, Clone)]
pub(crate) struct Catalog {
    functions: Arc<RwLock<Functions>>,
    pool: Pool,
}

const FUNCTIONS: &str = "
select
  function.proname::text as name,
  function.provolatile <> 'v' as read_only,
  case
    when function.prorettype = 'pg_catalog.void'::pg_catalog.regtype then 'nothing'
    when result.typtype = 'c' or coalesce(function.proargmodes::text[] && '{o,b,t}'::text[], false)
      then case when function.proretset then 'rows' else 'row' end
    else case when function.proretset then 'values' else 'value' end
  end as returns,
  function.pronargs::int4 as input_count,
  function.pronargdefaults::int4 as default_count,
  coalesce(function.proargnames, '{}') as names,
  coalesce(function.proargmodes::text[], '{}') as modes,
  array(
    select pg_catalog.format_type(argument.type, null)
    from unnest(coalesce(function.proallargtypes, function.proargtypes::oid[])) with ordinality as argument (type, position)
    order by argument.position
  ) as types,
  coalesce(function.proconfig, '{}') as settings
from pg_catalog.pg_proc as function
join pg_catalog.pg_type as result on result.oid = function.prorettype
where function.pronamespace = 'public'::pg_catalog.regnamespace
  and function.prokind = 'f'
  and function.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype";

impl Catalog {
    pub(crate) async fn load(pool: &Pool) -> Result<Catalog> {
        let catalog = Catalog { functions: Arc::default(), pool: pool.clone() };
        catalog.reload().await?;
        Ok(catalog)
    }

    /// The overloads of `name`.
    pub(crate) fn overloads(&self, name: &str) -> Vec<Arc<Function>> {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        functions.get(name).cloned().unwrap_or_default()
    }

    async fn reload(&self) -> Result<()> {
        let mut client = self.pool.get().await.context("the database does not answer")?;
        let transaction = client.transaction().await?;
        // With an empty search path, types outside pg_catalog are spelled with their schema.
        transaction.batch_execute("set local search_path = ''").await?;
        let mut functions = Functions::new();
        for row in transaction.query(FUNCTIONS, &[]).await? {
            let function = Function::from_row(&row)?;
            functions.entry(function.name.clone()).or_default().push(Arc::new(function));
        }
        *self.functions.write().unwrap_or_else(PoisonError::into_inner) = functions;
        Ok(())
    }

    /// Reads the functions again at every `notify pgrst`, for as long as the stack lives.
    pub(crate) async fn follow(self, config: tokio_postgres::Config) {
        loop {
            self.listen(&config).await.ok();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn listen(&self, config: &tokio_postgres::Config) -> Result<()> {
        let (client, mut connection) = config.connect(NoTls).await?;
        let (notices, mut inbox) = tokio::sync::mpsc::unbounded_channel();
        let pump = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if matches!(message, AsyncMessage::Notification(_)) && notices.send(()).is_err() {
                    break;
                }
            }
        });
        client.batch_execute("listen pgrst").await?;
        // What changed while nobody listened.
        self.reload().await?;
        while inbox.recv().await.is_some() {
            self.reload().await?;
        }
        pump.abort();
        Ok(())
    }
}

impl Function {
    fn from_row(row: &tokio_postgres::Row) -> Result<Function> {
        let names: Vec<String> = row.try_get("names")?;
        let modes: Vec<String> = row.try_get("modes")?;
        let types: Vec<String> = row.try_get("types")?;
        let settings: Vec<String> = row.try_get("settings")?;
        let inputs = usize::try_from(row.try_get::<_, i32>("input_count")?)?;
        let required = inputs - usize::try_from(row.try_get::<_, i32>("default_count")?)?;
        let mode = |index: usize| modes.get(index).map_or("i", String::as_str);
        let arguments = types
            .into_iter()
            .enumerate()
            .filter(|(index, _)| matches!(mode(*index), "i" | "b" | "v"))
            .enumerate()
            .map(|(position, (index, sql_type))| Argument {
                name: names.get(index).cloned().unwrap_or_default(),
                sql_type,
                required: position < required,
                variadic: mode(index) == "v",
            })
            .collect();
        Ok(Function {
            name: row.try_get("name")?,
            arguments,
            returns: match row.try_get::<_, &str>("returns")? {
                "nothing" => Returns::Nothing,
                "values" => Returns::Values,
                "row" => Returns::Row,
                "rows" => Returns::Rows,
                _ => Returns::Value,
            },
            read_only: row.try_get("read_only")?,
            statement_timeout: settings
                .iter()
                .find_map(|setting| setting.strip_prefix("statement_timeout="))
                .map(str::to_owned),
        })
    }
}

/// The roles' `statement_timeout`, which `set role` alone does not apply.
#[derive(Debug)]
pub(crate) struct Timeouts(HashMap<String, String>);

impl Timeouts {
    pub(crate) async fn read(pool: &Pool) -> Result<Timeouts> {
        let client = pool.get().await.context("the database does not answer")?;
        let rows = client
            .query(
                "select role.rolname::text, split_part(setting, '=', 2)
                 from pg_catalog.pg_db_role_setting as settings
                 join pg_catalog.pg_roles as role on role.oid = settings.setrole
                 cross join unnest(settings.setconfig) as setting
                 where setting like 'statement_timeout=%'",
                &[],
            )
            .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_>>().map(Timeouts)
    }

    /// For `role`, in Postgres's own spelling; the authenticator's where the role has none.
    pub(crate) fn of(&self, role: &str) -> &str {
        self.0.get(role).or_else(|| self.0.get("authenticator")).map_or("0", String::as_str)
    }

    pub(crate) fn for_postrust(&self) -> Result<HashMap<String, postrust_core::config::RoleSettings>> {
        let roles = self.0.iter().filter_map(|(role, timeout)| {
            let milliseconds = match timeout.strip_suffix("ms") {
                Some(number) => number.parse::<u64>().ok()?,
                None => timeout.strip_suffix('s')?.parse::<u64>().ok()? * 1000,
            };
            Some((role, serde_json::json!({"statement_timeout": milliseconds})))
        });
        roles.map(|(role, settings)| Ok((role.clone(), serde_json::from_value(settings)?))).collect()
    }
}
