//! The cached template cluster, and the loader of migrations that fills it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use sha2::{Digest, Sha256};

use super::{BOOTSTRAP, Migrations, Postgres, Source, connect};

/// What a hosted project has before our migrations.
const PLATFORM: &str = include_str!("../../sql/platform.sql");

/// A template nobody has made use of for this long is in the way.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// One file of `supabase/migrations`: `<version>_<name>.sql`.
struct Migration {
    version: String,
    name: String,
    sql: String,
}

/// The folder of a template that holds the platform and `migrations`, made now if it isn't there.
pub(super) async fn ready(binaries: &Path, migrations: &Migrations) -> Result<PathBuf> {
    let migrations = read(migrations)?;
    let cache = crate::repository().join("target/devstack");
    std::fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let template = cache.join(format!("template-{}", fingerprint(binaries, &migrations)?));
    if template.is_dir() {
        return Ok(template);
    }
    // Others who want the same template wait here, and then find it.
    let lock = File::create(cache.join("template.lock"))?;
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
    if !template.is_dir() {
        forget_old(&cache);
        make(binaries, &migrations, &cache, &template).await?;
    }
    drop(lock);
    Ok(template)
}

async fn make(binaries: &Path, migrations: &[Migration], cache: &Path, template: &Path) -> Result<()> {
    let log = cache.join("template.log");
    let server = Postgres::launch(binaries, Source::New, &log).await?;
    let admin = connect(&server.socket_config(BOOTSTRAP)).await?;
    admin.batch_execute(PLATFORM).await.map_err(|error| explain(&error)).context("sql/platform.sql")?;
    drop(admin);
    apply(&server, migrations).await?;
    // Renamed when it is whole: a template is there completely or not at all.
    let unfinished = template.with_extension("unfinished");
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished)?;
    }
    server.into_template(&unfinished)?;
    std::fs::rename(&unfinished, template)?;
    Ok(())
}

/// Applies each file as the role `postgres` in a transaction of its own, and records it as `supabase db push` does.
async fn apply(server: &Postgres, migrations: &[Migration]) -> Result<()> {
    if migrations.is_empty() {
        return Ok(());
    }
    let client = connect(&server.socket_config("postgres")).await?;
    for Migration { version, name, sql } in migrations {
        let file = || format!("supabase/migrations/{version}_{name}.sql");
        client.batch_execute(sql).await.map_err(|error| explain(&error)).with_context(file)?;
        client
            .execute(
                "insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, $3)",
                &[version, name, &vec![sql.as_str()]],
            )
            .await
            .map_err(|error| explain(&error))
            .with_context(file)?;
    }
    Ok(())
}

/// What Postgres said, with the line it said it about: the error's own text has neither.
fn explain(error: &tokio_postgres::Error) -> anyhow::Error {
    match error.as_db_error() {
        Some(error) => {
            let detail = error.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
            let context = error.where_().map(|place| format!(" at {place}")).unwrap_or_default();
            anyhow!("{}: {}{detail}{context}", error.code().code(), error.message())
        }
        None => anyhow!("{error}"),
    }
}

fn read(migrations: &Migrations) -> Result<Vec<Migration>> {
    let folder = match migrations {
        Migrations::None => return Ok(Vec::new()),
        Migrations::Repository => crate::repository().join("supabase/migrations"),
        Migrations::Folder(folder) => folder.clone(),
    };
    let mut files: Vec<PathBuf> = match std::fs::read_dir(&folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        // A repository whose first migration is still to be written.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", folder.display())),
    };
    files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    files
        .iter()
        .map(|file| {
            let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let (version, name) = stem
                .split_once('_')
                .filter(|(version, _)| {
                    !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit())
                })
                .with_context(|| format!("{} is not named <digits>_<name>.sql", file.display()))?;
            Ok(Migration {
                version: version.to_owned(),
                name: name.to_owned(),
                sql: std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read {}", file.display()))?,
            })
        })
        .collect()
}

/// Changes whenever anything that the template is made of does.
fn fingerprint(binaries: &Path, migrations: &[Migration]) -> Result<String> {
    let version = Command::new(binaries.join("postgres")).arg("--version").output()?.stdout;
    let mut hash = Sha256::new();
    // The owner counts: a template made by root belongs to the user postgres.
    hash.update(rustix::process::geteuid().as_raw().to_le_bytes());
    for part in [version.as_slice(), PLATFORM.as_bytes()] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    for Migration { version, name, sql } in migrations {
        for part in [version, name, sql] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// Removes templates of earlier migrations; failing to is no reason to stop.
fn forget_old(cache: &Path) {
    for entry in std::fs::read_dir(cache).into_iter().flatten().flatten() {
        let is_template = entry.file_name().to_string_lossy().starts_with("template-");
        let age = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|made| made.elapsed().ok());
        if is_template && entry.path().is_dir() && age.is_some_and(|age| age > FORGOTTEN_AFTER) {
            std::fs::remove_dir_all(entry.path()).ok();
        }
    }
}
