//! The people whom every stack has: an admin of one organization, and a plain member of another. Beside an app that knows no
//! organizations, the admin is named in `billing_ops.admins`, and the member nowhere.
//!
//! They are made the way an operator would, through the auth API with the secret key, so that the same code serves a
//! local stack and another Supabase.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::keys::random_text;
use crate::postgres::explain;

/// Someone who can sign in.
#[derive(Debug, Clone)]
pub struct Person {
    /// The id in `auth.users` and `public.users`.
    pub id: Uuid,
    /// The address, and with the password the way in.
    pub email: String,
    /// The password.
    pub password: String,
    /// An access token.
    pub token: String,
    /// The organization that the person belongs to, as `role`; none beside an app that knows no organizations.
    pub organization: Option<Uuid>,
    /// `admin` or `member`.
    pub role: &'static str,
}

/// The admin and the member.
#[derive(Debug, Clone)]
pub struct People {
    /// May read billing operations.
    pub admin: Person,
    /// May not.
    pub member: Person,
}

/// Where people are made.
#[derive(Debug)]
pub struct Registry<'a> {
    /// Supabase's URL.
    pub url: &'a str,
    /// A key that acts as `service_role`.
    pub secret_key: &'a str,
    /// A key for signing in; the secret one where there is none.
    pub publishable_key: &'a str,
    /// What tells this stack's people from others' in the same project; empty in a project of the stack's own.
    pub suffix: &'a str,
}

impl People {
    /// Makes both, with an organization each where there are organizations.
    ///
    /// # Errors
    /// When the auth API or the database refuses; the migrations must be there.
    pub async fn settle(registry: &Registry<'_>, database: &tokio_postgres::Client) -> Result<People> {
        let client = crate::http_client()?;
        let mut admin = registry.register(&client, "admin").await?;
        let mut member = registry.register(&client, "member").await?;
        let organizations: bool =
            database.query_one(HAS_ORGANIZATIONS, &[]).await.map_err(|error| explain(&error))?.try_get(0)?;
        if organizations {
            admin.join(database).await?;
            member.join(database).await?;
        } else {
            database
                .execute(
                    "insert into billing_ops.admins (user_id, note) values ($1, 'The admin of the local stack')",
                    &[&admin.id],
                )
                .await
                .map_err(|error| explain(&error))
                .context("cannot name an admin; are the migrations there?")?;
        }
        Ok(People { admin, member })
    }
}

/// Whether there are tables of organizations, people and memberships like those that billing-ops began with.
const HAS_ORGANIZATIONS: &str = "
select not exists (
  select 1
  from (values
    ('organizations', 'id', 'uuid'), ('organizations', 'name', 'text'),
    ('users', 'id', 'uuid'), ('users', 'email', 'text'), ('users', 'organization_id', 'uuid'), ('users', 'role', 'text'),
    ('organization_members', 'organization_id', 'uuid'), ('organization_members', 'user_id', 'uuid'),
    ('organization_members', 'role', 'text')
  ) as wanted (table_name, column_name, type_name)
  where not exists (
    select 1 from pg_catalog.pg_attribute as attribute
    where attribute.attrelid = to_regclass('public.' || wanted.table_name)
      and attribute.attname = wanted.column_name and not attribute.attisdropped
      and attribute.atttypid = wanted.type_name::regtype))";

impl Person {
    /// Gives the person an organization.
    async fn join(&mut self, database: &tokio_postgres::Client) -> Result<()> {
        let organization = Uuid::new_v4();
        let name = format!("The {}'s organization", self.role);
        database
            .execute("insert into public.organizations (id, name) values ($1, $2)", &[&organization, &name])
            .await
            .context("cannot add an organization")?;
        database
            .execute(
                "insert into public.users (id, email, organization_id, role) values ($1, $2, $3, 'member')",
                &[&self.id, &self.email, &organization],
            )
            .await
            .context("cannot add a user")?;
        database
            .execute(
                "insert into public.organization_members (organization_id, user_id, role) values ($1, $2, $3)",
                &[&organization, &self.id, &self.role],
            )
            .await
            .context("cannot add a membership")?;
        self.organization = Some(organization);
        Ok(())
    }
}

impl Registry<'_> {
    async fn register(&self, client: &reqwest::Client, role: &'static str) -> Result<Person> {
        #[derive(Deserialize)]
        struct Created {
            id: Uuid,
        }
        #[derive(Deserialize)]
        struct Session {
            access_token: String,
        }
        let email = format!("{role}{}@example.test", self.suffix);
        let password = random_text(20);
        let new = json!({"email": email, "password": password, "email_confirm": true});
        let created: Created = self.post(client, "admin/users", self.secret_key, &new).await?;
        let key = if self.publishable_key.is_empty() { self.secret_key } else { self.publishable_key };
        let credentials = json!({"email": email, "password": password});
        let session: Session = self.post(client, "token?grant_type=password", key, &credentials).await?;
        Ok(Person { id: created.id, email, password, token: session.access_token, organization: None, role })
    }

    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        client: &reqwest::Client,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Result<T> {
        let mut request =
            client.post(format!("{}/auth/v1/{path}", self.url)).header("apikey", key).json(body);
        // The older keys are tokens, and say so twice.
        if !key.starts_with("sb_") {
            request = request.bearer_auth(key);
        }
        let answer = request.send().await.with_context(|| format!("{} does not answer", self.url))?;
        let status = answer.status();
        let body = answer.bytes().await?;
        if !status.is_success() {
            bail!("the auth API refused {path}: {status} {}", String::from_utf8_lossy(&body));
        }
        serde_json::from_slice(&body)
            .with_context(|| format!("the auth API's answer to {path} is not understood"))
    }
}
