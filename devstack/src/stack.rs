//! The whole stack: database, Supabase, Stripe, functions and router, ready when [`Stack::start`] returns.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use stripe_simulator::Simulator;

pub use stack_description::Description;

use crate::adoption;
use crate::functions::Functions;
use crate::gateway::{Gateway, Program, session_claims};
use crate::keys::{Keys, Signer};
use crate::people::{People, Person, Registry};
use crate::postgres::{Migrations, Postgres};
use crate::router::Router;
use crate::scratch::Scratch;
use crate::seeding;
use crate::settings::{self, External, Settings};
use crate::vercel;

/// How long the tokens of the admin and the member last: a stack may stay up for days.
const PERSON_TOKEN_LIFETIME: u64 = 7 * 24 * 60 * 60;

/// How long another Supabase may go without an answer once its Postgres is back: it runs a genuine PostgREST.
const HOSTED_RECOVERY: Duration = crate::gateway::GENUINE_RECOVERY;

/// Where the functions find Stripe.
#[derive(Debug, Clone)]
pub enum Stripe {
    /// A simulator started for this stack.
    Simulator(stripe_simulator::Config),
    /// Another server that speaks as Stripe does, at this URL.
    Base(String),
    /// Stripe itself, with the test key of the settings.
    Sandbox,
}

/// How a stack is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The router's port; a free one where it is taken, or 0.
    pub port: u16,
    /// Where the functions find Stripe.
    pub stripe: Stripe,
    /// What is applied to the database.
    pub migrations: Migrations,
    /// The mapping that is adopted. Without one the migrations have decided; beside an app, the database is asked.
    pub adopt: Option<serde_json::Value>,
    /// Whether there are an admin and a member; they need the repository's migrations.
    pub people: bool,
    /// Whether the database gets a row for each of the simulator's subscriptions, so that the two agree.
    pub fill: bool,
    /// Settings that win over the stack's own.
    pub settings: Settings,
    /// A genuine PostgREST to put behind the gateway instead of its stand-in.
    pub postgrest: Option<PathBuf>,
    /// Another Supabase to use instead of a local one.
    pub external: Option<External>,
    /// Where logs go; without it, a folder that ends with the stack.
    pub folder: Option<PathBuf>,
    /// Whether the functions are built first, with Cargo.
    pub build: bool,
    /// Whether the functions' output is shown on standard error, too.
    pub verbose: bool,
}

impl Options {
    /// What a test wants: free ports, an empty simulator, an admin and a member, the functions as they are built, and
    /// another Supabase if the environment names one.
    ///
    /// # Errors
    /// When the environment names half of another Supabase.
    pub fn for_tests() -> Result<Options> {
        let settings = settings::from_environment();
        let external = External::find(&settings, std::env::var("DATABASE_URL").ok())?;
        // Of the environment's settings only those that name the other Supabase: tests set the rest themselves.
        let settings = settings
            .into_iter()
            .filter(|(name, _)| external.is_some() && name.contains("SUPABASE"))
            .collect();
        Ok(Options {
            port: 0,
            stripe: Stripe::Simulator(stripe_simulator::Config::default()),
            migrations: Migrations::Repository,
            adopt: None,
            postgrest: settings::postgrest(),
            people: true,
            fill: false,
            settings,
            external,
            folder: None,
            build: false,
            verbose: false,
        })
    }
}

/// A running stack. Dropping it stops every process and removes what it made.
#[derive(Debug)]
pub struct Stack {
    // In the order in which they end: callers before what they call.
    router: Router,
    functions: Arc<Functions>,
    simulator: Option<Simulator>,
    gateway: Option<Gateway>,
    postgres: Option<Postgres>,
    keys: Option<Keys>,
    people: Option<People>,
    description: Description,
    _folder: Option<Scratch>,
}

impl Stack {
    /// Starts everything and returns when all of it answers.
    ///
    /// # Errors
    /// What did not start, in a sentence that says what to do about it where something can be done.
    pub async fn start(options: Options) -> Result<Stack> {
        let root = crate::repository();
        let configuration = vercel::Configuration::read(&root)?;
        let sources = vercel::functions(&root)?;
        let binaries = binaries()?;
        if options.build && !sources.is_empty() {
            build(&root, &binaries)?;
        }
        let (folder, temporary) = match &options.folder {
            Some(folder) => (folder.clone(), None),
            None => {
                let folder = Scratch::new()?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        let logs = folder.join("logs");
        std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;

        let supabase = Supabase::start(&options, &logs).await?;
        let people = if options.people { Some(supabase.people().await?) } else { None };
        let (simulator, stripe_url) = start_stripe(&options.stripe)?;
        let mut settings = settings::generated();
        let generated = [
            ("SUPABASE_URL", supabase.external.url.clone()),
            ("SUPABASE_SECRET_KEY", supabase.external.secret_key.clone()),
            ("SUPABASE_PUBLISHABLE_KEY", supabase.external.publishable_key.clone()),
            ("STRIPE_SECRET_KEY", stripe_simulator::RESTRICTED_KEY.to_owned()),
        ];
        settings.extend(generated.map(|(name, value)| (name.to_owned(), value)));
        if !matches!(options.stripe, Stripe::Sandbox) {
            settings.insert("STRIPE_API_BASE".to_owned(), stripe_url.clone());
        }
        settings.extend(options.settings.clone());
        if let Some(simulator) = simulator.as_ref().filter(|_| options.fill) {
            let database = database(&supabase.external.database_url).await?;
            seeding::fill(&database, simulator.generator().all().map(seeding::Row::of)).await?;
        }
        let description = describe(&supabase, people.as_ref(), &settings, stripe_url, logs.clone());

        let functions = Arc::new(Functions::new(sources, &binaries, &logs, settings, options.verbose)?);
        functions.start_all().await?;
        let router = Router::start(options.port, functions.clone(), configuration).await?;
        let description = Description { base_url: router.url().to_owned(), ..description };
        let Supabase { gateway, postgres, keys, .. } = supabase;
        Ok(Stack {
            router,
            functions,
            simulator,
            gateway,
            postgres,
            keys,
            people,
            description,
            _folder: temporary,
        })
    }

    /// Addresses, keys and secrets.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The deployment's URL, without a slash at its end.
    pub fn url(&self) -> &str {
        self.router.url()
    }

    /// The functions: to configure, kill and count them.
    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// The simulator, if this stack has one.
    pub fn simulator(&self) -> Option<&Simulator> {
        self.simulator.as_ref()
    }

    /// The gateway; another Supabase has none of ours.
    pub fn gateway(&self) -> Option<&Gateway> {
        self.gateway.as_ref()
    }

    /// The database server; another Supabase has its own.
    pub fn postgres(&self) -> Option<&Postgres> {
        self.postgres.as_ref()
    }

    /// The keys that sign tokens; another Supabase keeps its own.
    pub fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    /// The admin and the member.
    ///
    /// # Errors
    /// When the stack was started without.
    pub fn people(&self) -> Result<&People> {
        self.people.as_ref().context("the stack was started without people")
    }

    /// A connection to the database as the role that owns the tables.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn database(&self) -> Result<tokio_postgres::Client> {
        database(&self.description.database_url).await
    }

    /// Stops everything and waits for it; functions finish what they are at.
    pub async fn stop(self) {
        self.functions.stop().await;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.functions.stop_now();
    }
}

/// The Supabase of a stack, its own or another.
struct Supabase {
    external: External,
    gateway: Option<Gateway>,
    postgres: Option<Postgres>,
    keys: Option<Keys>,
}

impl Supabase {
    async fn start(options: &Options, logs: &Path) -> Result<Supabase> {
        if let Some(external) = &options.external {
            if options.adopt.is_some() || matches!(options.migrations, Migrations::Beside(_)) {
                bail!(
                    "another Supabase has its own schema: an app's schema and a mapping are for a local one"
                );
            }
            return Ok(Supabase { external: external.clone(), gateway: None, postgres: None, keys: None });
        }
        let keys = Keys::generate()?;
        let postgres = Postgres::start(&options.migrations, &logs.join("postgres.log")).await?;
        // Before the gateway, which reads the catalog when it starts.
        adopt(options, &postgres).await?;
        let genuine = options.postgrest.as_deref().map(|binary| Program::new(binary, logs));
        let gateway = Gateway::start(&postgres, keys.clone(), genuine.as_ref()).await?;
        let external = External {
            url: gateway.url().to_owned(),
            secret_key: keys.secret_key.clone(),
            publishable_key: keys.publishable_key.clone(),
            database_url: postgres.url(),
        };
        Ok(Supabase { external, gateway: Some(gateway), postgres: Some(postgres), keys: Some(keys) })
    }

    async fn people(&self) -> Result<People> {
        let suffix =
            if self.keys.is_some() { String::new() } else { format!("-{}", crate::keys::random_hex(4)) };
        let registry = Registry {
            url: &self.external.url,
            secret_key: &self.external.secret_key,
            publishable_key: &self.external.publishable_key,
            suffix: &suffix,
        };
        let database = database(&self.external.database_url).await?;
        let mut people = People::settle(&registry, &database).await?;
        if let Some(keys) = &self.keys {
            for person in [&mut people.admin, &mut people.member] {
                person.token = self.lasting_token(keys, person)?;
            }
        }
        Ok(people)
    }

    fn lasting_token(&self, keys: &Keys, person: &Person) -> Result<String> {
        let user = serde_json::json!({
            "id": person.id, "email": person.email, "role": "authenticated",
            "app_metadata": {"provider": "email", "providers": ["email"]}, "user_metadata": {},
        });
        let issuer = format!("{}/auth/v1", self.external.url);
        keys.sign(Signer::Es256, &session_claims(&issuer, &user, None, PERSON_TOKEN_LIFETIME))
    }
}

async fn adopt(options: &Options, postgres: &Postgres) -> Result<()> {
    let owner = postgres.socket_config("postgres");
    match (&options.adopt, &options.migrations) {
        (Some(mapping), _) => adoption::adopt(&crate::postgres::connect(&owner).await?, mapping).await,
        (None, Migrations::Beside(_)) => {
            let database = crate::postgres::connect(&owner).await?;
            if let Some(sentence) = adoption::adopt_what_is_found(&database).await? {
                eprintln!("devstack: {sentence}");
            }
            Ok(())
        }
        (None, _) => Ok(()),
    }
}

fn start_stripe(stripe: &Stripe) -> Result<(Option<Simulator>, String)> {
    match stripe {
        Stripe::Simulator(config) => {
            let simulator =
                Simulator::start(config.clone()).context("the Stripe simulator does not start")?;
            let url = simulator.url();
            Ok((Some(simulator), url))
        }
        Stripe::Base(url) => Ok((None, url.trim_end_matches('/').to_owned())),
        Stripe::Sandbox => Ok((None, "https://api.stripe.com".to_owned())),
    }
}

fn describe(
    supabase: &Supabase,
    people: Option<&People>,
    settings: &Settings,
    stripe_url: String,
    logs: PathBuf,
) -> Description {
    let setting = |name: &str| settings.get(name).cloned().unwrap_or_default();
    let person = |pick: fn(&People) -> &String| people.map(pick).cloned().unwrap_or_default();
    Description {
        base_url: String::new(),
        supabase_url: supabase.external.url.clone(),
        rest_url: format!("{}/rest/v1", supabase.external.url),
        postgrest: supabase.gateway.as_ref().map(Gateway::postgrest).unwrap_or_default(),
        recovery_seconds: supabase.gateway.as_ref().map_or(HOSTED_RECOVERY, Gateway::recovery).as_secs(),
        database_url: supabase.external.database_url.clone(),
        stripe_url,
        secret_key: supabase.external.secret_key.clone(),
        publishable_key: supabase.external.publishable_key.clone(),
        jwt_secret: supabase.keys.as_ref().map(|keys| keys.jwt_secret.clone()).unwrap_or_default(),
        reconcile_secret: setting("RECONCILE_SECRET"),
        monitor_secret: setting("MONITOR_SECRET"),
        cron_secret: setting("CRON_SECRET"),
        metrics_secret: setting("METRICS_SECRET"),
        stripe_webhook_secret: setting("STRIPE_WEBHOOK_SECRET"),
        admin_token: person(|people| &people.admin.token),
        member_token: person(|people| &people.member.token),
        admin_email: person(|people| &people.admin.email),
        admin_password: person(|people| &people.admin.password),
        member_email: person(|people| &people.member.email),
        member_password: person(|people| &people.member.password),
        logs,
    }
}

async fn database(url: &str) -> Result<tokio_postgres::Client> {
    let config: tokio_postgres::Config = url.parse().context("DATABASE_URL is not a Postgres URL")?;
    crate::postgres::connect(&config).await.context("the database does not answer")
}

/// The folder of the binaries that were built with this one.
///
/// # Errors
/// When this program does not know where it is.
pub fn binaries() -> Result<PathBuf> {
    let here = std::env::current_exe().context("this program does not know where it is")?;
    let folder = here.parent().context("this program has no folder")?;
    // Cargo puts tests one deeper.
    Ok(if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder }.to_owned())
}

/// Builds the functions in the profile of this program.
fn build(root: &Path, binaries: &Path) -> Result<()> {
    let profile = match binaries.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--quiet", "--package", "billing-ops", "--bins", "--profile", profile])
        .current_dir(root);
    if let Some(target) = binaries.parent() {
        command.arg("--target-dir").arg(target);
    }
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().context("cannot run cargo")?;
    if !status.success() {
        bail!("the functions do not build");
    }
    Ok(())
}
