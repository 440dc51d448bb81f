//! How the rows of an app's own table are written: the statements that a mapping and the catalog ask for. Whatever the rows
//! point to (owners, customers, prices) is made before them, with as little as its table lets through.
//!
//! Rows come from the temporary table `seeded`, which `seeding.rs` makes.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio_postgres::Client;

/// The mapping of a database whose tables are those that billing-ops began with, for as long as nothing is adopted.
const FIRST_SHAPE: &str = r#"{
  "table": "public.subscriptions", "key": "id", "stripe_subscription_id": "stripe_subscription_id",
  "owner": {"column": "organization_id", "table": "public.organizations", "key": "id"},
  "customer": {"column": "stripe_customer_id"},
  "status": "status", "tier": "tier", "price": "stripe_price_id", "quantity": "quantity",
  "period_start": "current_period_start", "period_end": "current_period_end",
  "cancel_at_period_end": "cancel_at_period_end", "trial_end": "trial_end"
}"#;

/// What a mapping says about rows. Tables are spelled as SQL spells them, columns as they are called.
#[derive(Debug, Deserialize)]
struct Mapping {
    table: String,
    key: String,
    stripe_subscription_id: String,
    owner: Owner,
    customer: Option<Customer>,
    status: String,
    tier: Option<String>,
    price: Option<String>,
    quantity: Option<Quantity>,
    period_start: Option<String>,
    period_end: Option<String>,
    cancel_at_period_end: Option<String>,
    trial_end: Option<String>,
    #[serde(default)]
    on_insert: Map<String, Value>,
    #[serde(default, rename = "where")]
    only: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Owner {
    column: String,
    table: Option<String>,
    key: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Customer {
    column: String,
    table: Option<String>,
    key: Option<String>,
    by: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Quantity {
    Column(String),
    OfPrices { column: String },
}

impl Quantity {
    fn column(&self) -> &str {
        match self {
            Quantity::Column(column) | Quantity::OfPrices { column } => column,
        }
    }
}

/// A table as the catalog knows it.
#[derive(Debug)]
struct Table {
    name: String,
    columns: Vec<Column>,
    references: Vec<Reference>,
}

#[derive(Debug)]
struct Column {
    name: String,
    sql_type: String,
    kind: Kind,
    /// An insert must name it.
    required: bool,
}

/// How a value is made to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Uuid,
    Instant,
    LocalTime,
    Other,
}

/// A foreign key of one column.
#[derive(Debug)]
struct Reference {
    column: String,
    table: String,
    key: String,
}

/// Where a value comes from: a column of `seeded`.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// As it stands there.
    Plain(&'static str),
    /// Unix seconds.
    Time(&'static str),
}

/// One column of an insert, and the expression for it.
type Assignment = (String, String);

/// The statements that fill one table.
#[derive(Debug)]
pub(super) struct Statements {
    /// Makes what the rows point to.
    pub(super) parents: Vec<String>,
    /// Makes the rows.
    pub(super) rows: String,
    /// Tells the planner about them.
    pub(super) analyze: String,
}

/// The statements for the table that is adopted.
pub(super) async fn statements(database: &Client) -> Result<Statements> {
    let adopted = database
        .query_opt(
            "select mapping from billing_ops.adoption
             union all
             select $1::text::jsonb where to_regclass('public.subscriptions') is not null
               and not exists (select 1 from billing_ops.adoption)",
            &[&FIRST_SHAPE],
        )
        .await?;
    let Some(adopted) = adopted else {
        bail!("no table is adopted, so there is none to fill");
    };
    let mapping: Mapping =
        serde_json::from_value(adopted.try_get(0)?).context("the mapping is not understood")?;
    let rows = Table::read(database, &mapping.table).await?;
    let mut parents = Vec::new();
    let mut made = BTreeSet::new();
    // What is made first lies on top. A parent may point further still: a user to the account that signs in.
    let mut wanted = mapping.parents(&rows)?;
    wanted.reverse();
    while let Some(parent) = wanted.pop() {
        if made.contains(&parent.table) {
            continue;
        }
        let table = Table::read(database, &parent.table).await?;
        let before: Vec<Parent> =
            parent.parents(&table).filter(|before| !made.contains(&before.table)).collect();
        if before.is_empty() {
            parents.push(parent.insert(&table, &mapping)?);
            made.insert(parent.table);
        } else {
            wanted.push(parent);
            wanted.extend(before);
        }
    }
    Ok(Statements { parents, rows: mapping.insert(&rows)?, analyze: format!("analyze {}", mapping.table) })
}

/// A row that others point to: its key and what else is known of it.
#[derive(Debug)]
struct Parent {
    table: String,
    values: Vec<(String, Source)>,
}

impl Mapping {
    /// The columns of the row that say something, with where that comes from.
    fn columns(&self) -> Vec<(&str, Source)> {
        let times = [
            (&self.period_start, "current_period_start"),
            (&self.period_end, "current_period_end"),
            (&self.trial_end, "trial_end"),
        ];
        let own_customer = self.customer.as_ref().filter(|customer| customer.table.is_none());
        let plain = [
            (Some(self.stripe_subscription_id.as_str()), "stripe_subscription_id"),
            (Some(self.owner.column.as_str()), "organization_id"),
            (own_customer.map(|customer| customer.column.as_str()), "stripe_customer_id"),
            (Some(self.status.as_str()), "status"),
            (self.tier.as_deref(), "tier"),
            (self.price.as_deref(), "stripe_price_id"),
            (self.quantity.as_ref().map(Quantity::column), "quantity"),
            (self.cancel_at_period_end.as_deref(), "cancel_at_period_end"),
        ];
        let plain = plain.into_iter().filter_map(|(column, source)| Some((column?, Source::Plain(source))));
        let times =
            times.into_iter().filter_map(|(column, source)| Some((column.as_deref()?, Source::Time(source))));
        plain.chain(times).collect()
    }

    fn source_of(&self, column: &str) -> Option<Source> {
        self.columns().into_iter().find_map(|(name, source)| (name == column).then_some(source))
    }

    /// What has to be there before the row: its owner first, as the others may point to that, too.
    fn parents(&self, rows: &Table) -> Result<Vec<Parent>> {
        let owner = self.owner.table.as_ref().zip(self.owner.key.as_ref()).map(|(table, key)| Parent {
            table: table.clone(),
            values: vec![(key.clone(), Source::Plain("organization_id"))],
        });
        if owner.as_ref().is_some_and(|owner| owner.table == self.table) {
            bail!("{} holds the owners themselves, so their rows cannot be made up", self.table);
        }
        let mut parents: Vec<Parent> = owner.into_iter().collect();
        if let Some(Customer { column, table: Some(table), key: Some(key), by: Some(by) }) = &self.customer {
            let source =
                self.source_of(by).with_context(|| format!("nothing is known of {}.{by}", self.table))?;
            parents.push(Parent {
                table: table.clone(),
                values: vec![(key.clone(), source), (column.clone(), Source::Plain("stripe_customer_id"))],
            });
        }
        parents.extend(rows.references.iter().filter_map(|reference| {
            let source = self.source_of(&reference.column)?;
            Some(Parent { table: reference.table.clone(), values: vec![(reference.key.clone(), source)] })
        }));
        Ok(parents)
    }

    /// The statement that makes the rows.
    fn insert(&self, table: &Table) -> Result<String> {
        let mut assignments = Vec::new();
        for (column, source) in self.columns() {
            assignments.push((column.to_owned(), table.column(column)?.expression(source)?));
        }
        for (column, value) in self.on_insert.iter().chain(&self.only) {
            assignments.push((column.clone(), constant(value)));
        }
        let named =
            |assignments: &[Assignment], wanted: &str| assignments.iter().any(|(column, _)| column == wanted);
        let key = table.column(&self.key)?;
        if key.required && !named(&assignments, &self.key) {
            let value = match key.kind {
                Kind::Uuid => "gen_random_uuid()",
                Kind::Text => "gen_random_uuid()::text",
                _ => bail!("{}.{} needs a value that cannot be made up", table.name, key.name),
            };
            assignments.push((self.key.clone(), value.to_owned()));
        }
        // As if they had been written a day ago, for whoever looks.
        for column in &table.columns {
            let a_day_ago = matches!(column.name.as_str(), "created_at" | "updated_at")
                && matches!(column.kind, Kind::Instant | Kind::LocalTime)
                && !named(&assignments, &column.name);
            if a_day_ago {
                assignments.push((column.name.clone(), "now() - interval '1 day'".to_owned()));
            }
        }
        Ok(table.insert(&assignments, ""))
    }
}

impl Parent {
    /// What the row points to with a value that is known here.
    fn parents<'a>(&'a self, table: &'a Table) -> impl Iterator<Item = Parent> + 'a {
        table.references.iter().filter_map(|reference| {
            let (_, source) = self.values.iter().find(|(column, _)| *column == reference.column)?;
            (reference.table != self.table).then(|| Parent {
                table: reference.table.clone(),
                values: vec![(reference.key.clone(), *source)],
            })
        })
    }

    fn insert(&self, table: &Table, mapping: &Mapping) -> Result<String> {
        let mut assignments = Vec::new();
        for (column, source) in &self.values {
            assignments.push((column.clone(), table.column(column)?.expression(*source)?));
        }
        let Some((_, key)) = assignments.first().cloned() else { bail!("{} needs a key", table.name) };
        for column in table.columns.iter().filter(|column| column.required) {
            if assignments.iter().any(|(name, _)| *name == column.name) {
                continue;
            }
            let points_to_the_owner = table.references.iter().any(|reference| {
                reference.column == column.name && Some(&reference.table) == mapping.owner.table.as_ref()
            });
            let value = match column.kind {
                _ if points_to_the_owner => column.expression(Source::Plain("organization_id"))?,
                Kind::Text => format!("({key})::text::{}", column.sql_type),
                _ => bail!("{}.{} needs a value that cannot be made up", table.name, column.name),
            };
            assignments.push((column.name.clone(), value));
        }
        Ok(table.insert(&assignments, &format!("distinct on ({key})")))
    }
}

impl Table {
    async fn read(database: &Client, name: &str) -> Result<Table> {
        let columns = database
            .query(
                "select attribute.attname::text, pg_catalog.format_type(attribute.atttypid, attribute.atttypmod),
                   case
                     when type.typname = 'uuid' then 'uuid'
                     when type.typname = 'timestamptz' then 'instant'
                     when type.typname = 'timestamp' then 'local'
                     when type.typcategory = 'S' then 'text'
                     else 'other' end,
                   attribute.attnotnull and not attribute.atthasdef and attribute.attidentity = ''
                 from pg_catalog.pg_attribute as attribute
                 join pg_catalog.pg_type as type on type.oid = attribute.atttypid
                 where attribute.attrelid = $1::text::regclass and attribute.attnum > 0 and not attribute.attisdropped
                 order by attribute.attnum",
                &[&name],
            )
            .await
            .with_context(|| format!("{name} cannot be looked at"))?;
        let references = database
            .query(
                "select mine.attname::text, format('%I.%I', schema.nspname, target.relname), theirs.attname::text
                 from pg_catalog.pg_constraint as key
                 join pg_catalog.pg_class as target on target.oid = key.confrelid
                 join pg_catalog.pg_namespace as schema on schema.oid = target.relnamespace
                 join pg_catalog.pg_attribute as mine on mine.attrelid = key.conrelid and mine.attnum = key.conkey[1]
                 join pg_catalog.pg_attribute as theirs on theirs.attrelid = key.confrelid and theirs.attnum = key.confkey[1]
                 where key.contype = 'f' and key.conrelid = $1::text::regclass and cardinality(key.conkey) = 1",
                &[&name],
            )
            .await?;
        let column = |row: &tokio_postgres::Row| {
            Ok(Column {
                name: row.try_get(0)?,
                sql_type: row.try_get(1)?,
                kind: match row.try_get::<_, &str>(2)? {
                    "uuid" => Kind::Uuid,
                    "instant" => Kind::Instant,
                    "local" => Kind::LocalTime,
                    "text" => Kind::Text,
                    _ => Kind::Other,
                },
                required: row.try_get(3)?,
            })
        };
        let reference = |row: &tokio_postgres::Row| {
            Ok(Reference { column: row.try_get(0)?, table: row.try_get(1)?, key: row.try_get(2)? })
        };
        Ok(Table {
            name: name.to_owned(),
            columns: columns.iter().map(column).collect::<Result<_>>()?,
            references: references.iter().map(reference).collect::<Result<_>>()?,
        })
    }

    fn column(&self, name: &str) -> Result<&Column> {
        let found = self.columns.iter().find(|column| column.name == name);
        found.with_context(|| format!("{} has no column {name}", self.name))
    }

    /// Rows that stand in the way are left as they are.
    fn insert(&self, assignments: &[Assignment], distinct: &str) -> String {
        let (columns, values): (Vec<String>, Vec<&str>) =
            assignments.iter().map(|(column, value)| (identifier(column), value.as_str())).unzip();
        format!(
            "insert into {} ({}) select {distinct} {} from seeded on conflict do nothing",
            self.name,
            columns.join(", "),
            values.join(", ")
        )
    }
}

impl Column {
    /// The value of `source` in this column's type.
    fn expression(&self, source: Source) -> Result<String> {
        Ok(match source {
            Source::Plain("organization_id") if !matches!(self.kind, Kind::Uuid | Kind::Text) => {
                bail!("the simulator's owners are UUIDs, and {} is {}", self.name, self.sql_type)
            }
            Source::Plain(name) => format!("{name}::text::{}", self.sql_type),
            Source::Time(name) => match self.kind {
                Kind::Instant => format!("to_timestamp({name})"),
                Kind::LocalTime => format!("to_timestamp({name}) at time zone 'utc'"),
                _ => format!("{name}::bigint::{}", self.sql_type),
            },
        })
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A constant of the mapping; Postgres gives the literal its column's type.
fn constant(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        other => format!("'{}'", other.to_string().replace('\'', "''")),
    }
}
