//! The cached template cluster, and the loader of migrations that fills it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use sha2::{Digest, Sha256};
use tokio_postgres::Client;

use super::{BOOTSTRAP, Migrations, Postgres, Source, connect};

/// What a hosted project has before our migrations.
const PLATFORM: &str = include_str!("../../sql/platform.sql");

/// A template nobody has made use of for this long is in the way.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// What prints everything that a database needs which has nothing of billing-ops yet.
const INSTALLER: &str = "scripts/install.sh";

/// One text of SQL, applied in a transaction of its own.
struct Step {
    /// What errors call it.
    name: String,
    sql: String,
    /// Version and name, as `supabase db push` records a file of `supabase/migrations`.
    record: Option<(String, String)>,
}

/// The folder of a template that holds the platform and `migrations`, made now if it isn't there.
pub(super) async fn ready(binaries: &Path, migrations: &Migrations) -> Result<PathBuf> {
    let steps = read(migrations)?;
    let cache = crate::repository().join("target/devstack");
    std::fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let template = cache.join(format!("template-{}", fingerprint(binaries, &steps)?));
    if template.is_dir() {
        return Ok(template);
    }
    // Others who want the same template wait here, and then find it.
    let lock = File::create(cache.join("template.lock"))?;
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
    if !template.is_dir() {
        forget_old(&cache);
        make(binaries, &steps, &cache, &template).await?;
    }
    drop(lock);
    Ok(template)
}

async fn make(binaries: &Path, steps: &[Step], cache: &Path, template: &Path) -> Result<()> {
    let log = cache.join("template.log");
    let server = Postgres::launch(binaries, Source::New, &log).await?;
    let admin = connect(&server.socket_config(BOOTSTRAP)).await?;
    admin.batch_execute(PLATFORM).await.map_err(|error| explain(&error)).context("sql/platform.sql")?;
    drop(admin);
    apply(&server, steps).await?;
    // Renamed when it is whole: a template is there completely or not at all.
    let unfinished = template.with_extension("unfinished");
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished)?;
    }
    server.into_template(&unfinished)?;
    std::fs::rename(&unfinished, template)?;
    Ok(())
}

/// Applies each step as the role `postgres`, which owns the database and is no superuser. Each has a session of its own: an
/// app's dump may leave settings behind, such as an empty search path.
async fn apply(server: &Postgres, steps: &[Step]) -> Result<()> {
    for step in steps {
        let mut client = connect(&server.socket_config("postgres")).await?;
        apply_one(&mut client, step)
            .await
            .map_err(|error| explain(&error))
            .with_context(|| step.name.clone())?;
    }
    Ok(())
}

async fn apply_one(client: &mut Client, step: &Step) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(&step.sql).await?;
    if let Some((version, name)) = &step.record {
        transaction
            .execute(
                "insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, $3)",
                &[version, name, &vec![step.sql.as_str()]],
            )
            .await?;
    }
    transaction.commit().await
}

/// What Postgres said, with the line it said it about: the error's own text has neither.
pub(crate) fn explain(error: &tokio_postgres::Error) -> anyhow::Error {
    match error.as_db_error() {
        Some(error) => {
            let detail = error.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
            let context = error.where_().map(|place| format!(" at {place}")).unwrap_or_default();
            anyhow!("{}: {}{detail}{context}", error.code().code(), error.message())
        }
        None => anyhow!("{error}"),
    }
}

fn read(migrations: &Migrations) -> Result<Vec<Step>> {
    match migrations {
        Migrations::None => Ok(Vec::new()),
        Migrations::Repository => read_folder(&crate::repository().join("supabase/migrations")),
        Migrations::Folder(folder) => read_folder(folder),
        Migrations::Beside(app) => Ok(vec![
            Step { name: "the app's schema".to_owned(), sql: app.clone(), record: None },
            Step { name: format!("{INSTALLER} --print"), sql: installation()?, record: None },
        ]),
    }
}

/// What an app's owner would apply to get billing-ops.
fn installation() -> Result<String> {
    let repository = crate::repository();
    let output = Command::new(repository.join(INSTALLER))
        .arg("--print")
        .current_dir(&repository)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {INSTALLER}"))?;
    if !output.status.success() {
        bail!("{INSTALLER} --print failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{INSTALLER} --print does not print text"))
}

/// Every `<version>_<name>.sql` of a folder, in the order of their names.
fn read_folder(folder: &Path) -> Result<Vec<Step>> {
    let mut files: Vec<PathBuf> = match std::fs::read_dir(folder) {
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
            Ok(Step {
                name: format!("supabase/migrations/{stem}.sql"),
                record: Some((version.to_owned(), name.to_owned())),
                sql: std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read {}", file.display()))?,
            })
        })
        .collect()
}

/// Changes whenever anything that the template is made of does.
fn fingerprint(binaries: &Path, steps: &[Step]) -> Result<String> {
    let version = Command::new(binaries.join("postgres")).arg("--version").output()?.stdout;
    let mut hash = Sha256::new();
    // The owner counts: a template made by root belongs to the user postgres.
    hash.update(rustix::process::geteuid().as_raw().to_le_bytes());
    for part in [version.as_slice(), PLATFORM.as_bytes()] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    for Step { name, sql, record } in steps {
        // The name of a recorded file holds its version; an app's text and a migration of the same text differ in it.
        for part in [name, sql] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hash.update([u8::from(record.is_some())]);
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
