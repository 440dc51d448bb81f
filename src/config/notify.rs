//! The settings of the channels that alarms go to. A wrong setting closes its own channel and no other.
//!
//! Some settings are of use only together. What is missing is reported once, by the first of them that is set.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::values::{header_safe, list, secure_url};
use super::{Config, SettingError};
use crate::secret::Secret;

/// The words for a least severity, from the most severe.
pub const SEVERITIES: [&str; 4] = ["critical", "high", "warning", "info"];

/// How many addresses Resend takes for one e-mail (<https://resend.com/docs/api-reference/emails/send-email>).
const MOST_ADDRESSES: usize = 50;

/// Which settings belong to a channel.
#[derive(Debug)]
pub struct ChannelSettings {
    /// Each of these turns the channel on and needs the others; none needs the `_PREVIOUS` ones.
    own: &'static [&'static str],
    /// The least severity that the channel is told of.
    least: &'static str,
    /// An address other than the usual one.
    base: Option<&'static str>,
}

/// Those of PagerDuty.
pub const PAGERDUTY: ChannelSettings = ChannelSettings {
    own: &["NOTIFY_PAGERDUTY_KEY"],
    least: "NOTIFY_PAGERDUTY_MIN_SEVERITY",
    base: Some("NOTIFY_PAGERDUTY_BASE"),
};

/// Those of Slack.
pub const SLACK: ChannelSettings =
    ChannelSettings { own: &["NOTIFY_SLACK_URL"], least: "NOTIFY_SLACK_MIN_SEVERITY", base: None };

/// Those of Discord.
pub const DISCORD: ChannelSettings =
    ChannelSettings { own: &["NOTIFY_DISCORD_URL"], least: "NOTIFY_DISCORD_MIN_SEVERITY", base: None };

/// Those of e-mail.
pub const EMAIL: ChannelSettings = ChannelSettings {
    own: &["RESEND_API_KEY", "NOTIFY_EMAIL_FROM", "NOTIFY_EMAIL_TO"],
    least: "NOTIFY_EMAIL_MIN_SEVERITY",
    base: Some("RESEND_API_BASE"),
};

/// Those of the signed webhook.
pub const WEBHOOK: ChannelSettings = ChannelSettings {
    own: &["NOTIFY_WEBHOOK_URL", "NOTIFY_WEBHOOK_SECRET", "NOTIFY_WEBHOOK_SECRET_PREVIOUS"],
    least: "NOTIFY_WEBHOOK_MIN_SEVERITY",
    base: None,
};

/// An address that opens something to whoever knows it. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// The address itself, for the one place that calls it.
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// A key that webhooks are signed with. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    text: Secret,
    bytes: Vec<u8>,
}

impl SigningKey {
    /// As it is written: `whsec_…`.
    pub fn text(&self) -> &Secret {
        &self.text
    }

    /// The key itself, for the one place that signs.
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// What PagerDuty needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PagerdutySettings {
    /// The integration key of a service.
    pub key: Secret,
    /// The Events API, or what stands in for it.
    pub base: Url,
}

/// What an e-mail needs. The addresses are people's: no log shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailSettings {
    /// Resend's API key.
    pub key: Secret,
    /// `a@b.c` or `Name <a@b.c>`.
    pub from: Secret,
    /// At least one address.
    pub to: Vec<Secret>,
    /// Resend's API, or what stands in for it.
    pub base: Url,
}

/// What a signed webhook needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Where to.
    pub url: SecretUrl,
    /// What it is signed with.
    pub secret: SigningKey,
    /// What it is also signed with while the receiver changes from this key to the new one.
    pub previous: Option<SigningKey>,
}

impl Config {
    /// What PagerDuty needs, if it is set.
    pub fn notify_pagerduty(&self) -> Result<Option<PagerdutySettings>, SettingError> {
        let base = self.notify_pagerduty_base()?;
        Ok(self.notify_pagerduty_key()?.map(|key| PagerdutySettings { key, base }))
    }

    /// Slack's incoming webhook, if it is set.
    pub fn notify_slack(&self) -> Result<Option<SecretUrl>, SettingError> {
        self.part(&SLACK, "NOTIFY_SLACK_URL", secret_url)
    }

    /// Discord's webhook, if it is set.
    pub fn notify_discord(&self) -> Result<Option<SecretUrl>, SettingError> {
        self.part(&DISCORD, "NOTIFY_DISCORD_URL", secret_url)
    }

    /// What an e-mail needs, if it is set.
    pub fn notify_email(&self) -> Result<Option<EmailSettings>, SettingError> {
        let base = self.resend_api_base()?;
        let parts = (self.resend_api_key()?, self.notify_email_from()?, self.notify_email_to()?);
        let (Some(key), Some(from), Some(to)) = parts else { return Ok(None) };
        Ok(Some(EmailSettings { key, from, to, base }))
    }

    /// What a signed webhook needs, if it is set.
    pub fn notify_webhook(&self) -> Result<Option<WebhookSettings>, SettingError> {
        let (url, secret) = (self.notify_webhook_url()?, self.notify_webhook_secret()?);
        let previous = self.notify_webhook_secret_previous()?;
        let (Some(url), Some(secret)) = (url, secret) else { return Ok(None) };
        Ok(Some(WebhookSettings { url, secret, previous }))
    }

    /// Where people find this project's dashboard, for links.
    pub fn public_url(&self) -> Result<Option<Url>, SettingError> {
        self.optional("PUBLIC_URL").map(|value| base("PUBLIC_URL", value)).transpose()
    }

    /// The least severity that a channel is told of, if it is set: one of [`SEVERITIES`].
    pub fn notify_least(&self, channel: &ChannelSettings) -> Result<Option<&'static str>, SettingError> {
        let Some(value) = self.optional(channel.least) else { return Ok(None) };
        let known = SEVERITIES.into_iter().find(|word| *word == value);
        let wrong = || SettingError(format!("{} must be {}.", channel.least, either(&SEVERITIES)));
        known.map(Some).ok_or_else(wrong)
    }

    /// Whether a digest of each week is sent. If it is not set, one is.
    pub fn notify_digest(&self) -> Result<bool, SettingError> {
        match self.optional("NOTIFY_DIGEST") {
            None | Some("weekly") => Ok(true),
            Some("off") => Ok(false),
            Some(_) => Err(SettingError("NOTIFY_DIGEST must be weekly or off.".into())),
        }
    }

    /// Stands for all settings of a channel: it differs as soon as one of them does. None if the channel is not used: a setting that
    /// only says how it would be told does not turn it on.
    pub fn notify_fingerprint(&self, channel: &ChannelSettings) -> Option<String> {
        channel.own.iter().find(|name| self.optional(name).is_some())?;
        let mut hash = Sha256::new();
        for name in channel.own.iter().chain([&channel.least]).chain(&channel.base) {
            if let Some(value) = self.optional(name) {
                // No variable can hold a NUL, so no two sets of settings give the same text.
                hash.update(format!("{name}\0{value}\0"));
            }
        }
        Some(hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }

    pub(super) fn notify_pagerduty_key(&self) -> Result<Option<Secret>, SettingError> {
        self.part(&PAGERDUTY, "NOTIFY_PAGERDUTY_KEY", |name, value| {
            // Anything else fails even before PagerDuty's own check of the key.
            if value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                Ok(Secret::new(value))
            } else {
                Err(SettingError(format!(
                    "{name} must be the integration key of an Events API v2 integration: 32 letters and digits."
                )))
            }
        })
    }

    pub(super) fn notify_pagerduty_base(&self) -> Result<Url, SettingError> {
        let name = "NOTIFY_PAGERDUTY_BASE";
        base(name, self.optional(name).unwrap_or("https://events.pagerduty.com"))
    }

    pub(super) fn resend_api_key(&self) -> Result<Option<Secret>, SettingError> {
        self.part(&EMAIL, "RESEND_API_KEY", header_safe)
    }

    pub(super) fn resend_api_base(&self) -> Result<Url, SettingError> {
        base("RESEND_API_BASE", self.optional("RESEND_API_BASE").unwrap_or("https://api.resend.com"))
    }

    pub(super) fn notify_email_from(&self) -> Result<Option<Secret>, SettingError> {
        self.part(&EMAIL, "NOTIFY_EMAIL_FROM", |name, value| {
            if is_sender(value) {
                Ok(Secret::new(value))
            } else {
                Err(SettingError(format!("{name} must be an address like a@b.c or Name <a@b.c>.")))
            }
        })
    }

    pub(super) fn notify_email_to(&self) -> Result<Option<Vec<Secret>>, SettingError> {
        self.part(&EMAIL, "NOTIFY_EMAIL_TO", |name, value| {
            let addresses = list(value);
            if addresses.len() > MOST_ADDRESSES {
                Err(SettingError(format!("{name} must hold at most {MOST_ADDRESSES} addresses.")))
            } else if addresses.iter().all(|address| is_address(address)) {
                Ok(addresses.into_iter().map(Secret::new).collect())
            } else {
                Err(SettingError(format!("{name} must be addresses like a@b.c, separated by commas.")))
            }
        })
    }

    pub(super) fn notify_webhook_url(&self) -> Result<Option<SecretUrl>, SettingError> {
        self.part(&WEBHOOK, "NOTIFY_WEBHOOK_URL", secret_url)
    }

    pub(super) fn notify_webhook_secret(&self) -> Result<Option<SigningKey>, SettingError> {
        self.part(&WEBHOOK, "NOTIFY_WEBHOOK_SECRET", signing_key)
    }

    pub(super) fn notify_webhook_secret_previous(&self) -> Result<Option<SigningKey>, SettingError> {
        self.part(&WEBHOOK, "NOTIFY_WEBHOOK_SECRET_PREVIOUS", signing_key)
    }

    /// One of a channel's own settings, if it is set.
    fn part<T>(
        &self,
        channel: &ChannelSettings,
        name: &str,
        read: fn(&str, &str) -> Result<T, SettingError>,
    ) -> Result<Option<T>, SettingError> {
        let Some(value) = self.optional(name) else { return Ok(None) };
        let value = read(name, value)?;
        let is_first = channel.own.iter().find(|own| self.optional(own).is_some()) == Some(&name);
        let missing: Vec<&str> = channel
            .own
            .iter()
            .copied()
            .filter(|own| !own.ends_with("_PREVIOUS") && self.optional(own).is_none())
            .collect();
        if !is_first || missing.is_empty() {
            return Ok(Some(value));
        }
        let are = if missing.len() == 1 { "is" } else { "are" };
        Err(SettingError(format!("{name} needs {}, which {are} not set.", missing.join(" and "))))
    }
}

/// An address that is called, without the parts that HTTP clients drop or turn into credentials.
fn address(name: &str, value: &str) -> Result<Url, SettingError> {
    let url = secure_url(name, value)?;
    if !url.username().is_empty() || url.password().is_some() {
        Err(SettingError(format!("{name} must be a URL without a user name and a password.")))
    } else if url.fragment().is_some() {
        Err(SettingError(format!("{name} must be a URL without a fragment (#…).")))
    } else {
        Ok(url)
    }
}

fn secret_url(name: &str, value: &str) -> Result<SecretUrl, SettingError> {
    address(name, value).map(SecretUrl)
}

/// An address to which paths are appended.
fn base(name: &str, value: &str) -> Result<Url, SettingError> {
    let url = address(name, value)?;
    if url.query().is_none() {
        Ok(url)
    } else {
        Err(SettingError(format!("{name} must be a URL without a query (?…).")))
    }
}

/// As Standard Webhooks defines it: `whsec_` and base64 of 24 to 64 bytes.
fn signing_key(name: &str, value: &str) -> Result<SigningKey, SettingError> {
    let bytes = value.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
    match bytes {
        Some(bytes) if (24..=64).contains(&bytes.len()) => Ok(SigningKey { text: Secret::new(value), bytes }),
        _ => Err(SettingError(format!("{name} must be whsec_ and 24 to 64 bytes in base64."))),
    }
}

fn is_sender(value: &str) -> bool {
    match value.strip_suffix('>').map(|value| value.split_once('<')) {
        None => is_address(value),
        Some(None) => false,
        Some(Some((name, address))) => {
            is_address(address) && !name.chars().any(|c| c.is_control() || matches!(c, ',' | '>'))
        }
    }
}

/// Whether it is one address and nothing more. Whether it exists is for the mail to find out.
fn is_address(value: &str) -> bool {
    let unfit = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '<' | '>');
    let parts: Vec<&str> = value.split('@').collect();
    parts.len() == 2 && parts.iter().all(|part| !part.is_empty()) && !value.contains(unfit)
}

/// `a, b or c`.
fn either(words: &[&str]) -> String {
    let (last, others) = words.split_last().unwrap_or((&"", &[]));
    format!("{} or {last}", others.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdefghijKLMNOPQRSTUV";
    const SIGNING: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";

    fn config(pairs: &[(&str, &str)]) -> Config {
        Config::from_pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    /// What is wrong, by setting. Each sentence names it, and none holds a value.
    fn wrong(pairs: &[(&str, &str)]) -> Vec<&'static str> {
        let config = config(pairs);
        let found = config.wrong_options();
        assert_eq!(config.complaints(), found.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>());
        for (name, sentence) in &found {
            assert!(sentence.starts_with(name), "{sentence}");
            for (_, value) in pairs.iter().filter(|(_, value)| value.len() > 4 && !SEVERITIES.contains(value))
            {
                assert!(!sentence.contains(value), "{sentence}");
            }
        }
        found.into_iter().map(|(name, _)| name).collect()
    }

    fn sentences(pairs: &[(&str, &str)]) -> Vec<String> {
        config(pairs).complaints()
    }

    /// All settings of all channels, as they should be.
    const ALL: &[(&str, &str)] = &[
        ("NOTIFY_SLACK_URL", "https://hooks.slack.com/services/T0/B0/token"),
        ("NOTIFY_DISCORD_URL", "https://discord.com/api/webhooks/1/token?thread_id=2"),
        ("NOTIFY_PAGERDUTY_KEY", KEY),
        ("RESEND_API_KEY", "re_123"),
        ("NOTIFY_EMAIL_FROM", "Billing <billing@example.com>"),
        ("NOTIFY_EMAIL_TO", "a@example.com, b@example.com"),
        ("NOTIFY_WEBHOOK_URL", "https://example.com/hook?a=b"),
        ("NOTIFY_WEBHOOK_SECRET", SIGNING),
        ("NOTIFY_WEBHOOK_SECRET_PREVIOUS", SIGNING),
        ("NOTIFY_PAGERDUTY_MIN_SEVERITY", "critical"),
        ("NOTIFY_SLACK_MIN_SEVERITY", "high"),
        ("NOTIFY_DISCORD_MIN_SEVERITY", "warning"),
        ("NOTIFY_EMAIL_MIN_SEVERITY", "info"),
        ("NOTIFY_WEBHOOK_MIN_SEVERITY", "critical"),
        ("NOTIFY_PAGERDUTY_BASE", "http://127.0.0.1:4010/pagerduty"),
        ("RESEND_API_BASE", "http://localhost:4010"),
        ("PUBLIC_URL", "https://billing.example.com"),
    ];

    /// All of them, one changed.
    fn all_but<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
        assert!(ALL.iter().any(|(known, _)| *known == name), "{name}");
        ALL.iter().map(|&(known, good)| (known, if known == name { value } else { good })).collect()
    }

    #[test]
    fn what_is_as_it_should_be_is_taken() {
        assert_eq!(wrong(ALL), [""; 0]);
        let config = config(ALL);
        let email = config.notify_email().expect("right").expect("set");
        assert_eq!(
            email.to.iter().map(Secret::expose).collect::<Vec<_>>(),
            ["a@example.com", "b@example.com"]
        );
        assert_eq!(email.base.as_str(), "http://localhost:4010/");
        let webhook = config.notify_webhook().expect("right").expect("set");
        assert_eq!(webhook.secret.expose(), b"012345678901234567890123");
        assert_eq!(webhook.secret.text().expose(), SIGNING);
        assert!(webhook.previous.is_some());
        assert!(config.notify_slack().expect("right").is_some());
        assert!(config.notify_discord().expect("right").is_some());
        assert!(config.notify_pagerduty().expect("right").is_some());
        assert_eq!(config.notify_least(&EMAIL), Ok(Some("info")));
        for name in ALL.iter().map(|(name, _)| *name) {
            assert!(super::super::names().any(|known| known == name), "{name} is in no table");
        }
    }

    #[test]
    fn what_is_not_set_is_not_wrong() {
        let empty: Vec<_> = ALL.iter().map(|(name, _)| (*name, "")).collect();
        for pairs in [vec![], empty] {
            let config = config(&pairs);
            assert_eq!(config.complaints(), [""; 0]);
            assert_eq!(config.notify_pagerduty(), Ok(None));
            assert_eq!(config.notify_slack(), Ok(None));
            assert_eq!(config.notify_discord(), Ok(None));
            assert_eq!(config.notify_email(), Ok(None));
            assert_eq!(config.notify_webhook(), Ok(None));
            assert_eq!(config.public_url(), Ok(None));
            assert_eq!(config.notify_least(&SLACK), Ok(None));
            assert_eq!(config.notify_fingerprint(&SLACK), None);
        }
    }

    #[test]
    fn an_address_that_is_called_is_https_and_holds_nothing_else() {
        for name in [
            "NOTIFY_SLACK_URL",
            "NOTIFY_DISCORD_URL",
            "NOTIFY_WEBHOOK_URL",
            "NOTIFY_PAGERDUTY_BASE",
            "RESEND_API_BASE",
            "PUBLIC_URL",
        ] {
            for value in [
                "canary",
                "http://canary.example.com/",
                "ftp://canary.example.com/",
                "https://canary@example.com/",
                "https://:canary@example.com/",
                "https://example.com/#canary",
                "http://127.0.0.1.canary.example.com/",
            ] {
                assert_eq!(wrong(&all_but(name, value)), [name], "{value}");
            }
            assert_eq!(wrong(&all_but(name, "http://127.0.0.1:4010/x")), [""; 0]);
        }
        for name in ["NOTIFY_PAGERDUTY_BASE", "RESEND_API_BASE", "PUBLIC_URL"] {
            assert_eq!(wrong(&all_but(name, "https://example.com/?canary")), [name]);
        }
    }

    #[test]
    fn a_key_of_another_shape_is_refused() {
        let short = &KEY[1..];
        let long = format!("{KEY}0");
        for value in [short, &long, "0123456789abcdefghijKLMNOPQRST-V", "0123456789abcdefghijKLMNOPQRSTé"] {
            assert_eq!(wrong(&all_but("NOTIFY_PAGERDUTY_KEY", value)), ["NOTIFY_PAGERDUTY_KEY"], "{value}");
        }
        for value in ["re_1 23456", "re_é12345", "re_1\n23456"] {
            assert_eq!(wrong(&all_but("RESEND_API_KEY", value)), ["RESEND_API_KEY"], "{value}");
        }
    }

    #[test]
    fn a_signing_key_has_24_to_64_bytes() {
        let key = |length: usize| format!("whsec_{}", STANDARD.encode(vec![7; length]));
        for name in ["NOTIFY_WEBHOOK_SECRET", "NOTIFY_WEBHOOK_SECRET_PREVIOUS"] {
            for length in [24, 64] {
                assert_eq!(wrong(&all_but(name, &key(length))), [""; 0], "{length}");
            }
            let bare = SIGNING.replace("whsec_", "");
            for value in [&key(23), &key(65), &bare, "whsec_???????????????????????????", "canary"] {
                assert_eq!(wrong(&all_but(name, value)), [name], "{value}");
            }
        }
    }

    #[test]
    fn an_e_mail_address_is_one_address() {
        let bad = [
            "canary",
            "@example.com",
            "canary@",
            "canary@a@example.com",
            "can ary@example.com",
            "canary@exam\u{7f}ple.com",
            "canary\r\nBcc:x@example.com",
        ];
        for value in
            bad.into_iter().chain(["<canary@example.com", "Name <canary>", "x@y.z, canary@example.com"])
        {
            assert_eq!(wrong(&all_but("NOTIFY_EMAIL_FROM", value)), ["NOTIFY_EMAIL_FROM"], "{value}");
        }
        for value in
            ["canary>", "A, B <canary@example.com>", "A\nB <canary@example.com>", "A <b> <c@example.com>"]
        {
            assert_eq!(wrong(&all_but("NOTIFY_EMAIL_FROM", value)), ["NOTIFY_EMAIL_FROM"], "{value}");
        }
        for value in ["ops@example.com", "Ops of Example <ops@example.com>", "<ops@example.com>"] {
            assert_eq!(wrong(&all_but("NOTIFY_EMAIL_FROM", value)), [""; 0], "{value}");
        }
        for value in bad.into_iter().chain(["a@example.com,", "Name <canary@example.com>", "a@b.c,,d@e.f"]) {
            assert_eq!(wrong(&all_but("NOTIFY_EMAIL_TO", value)), ["NOTIFY_EMAIL_TO"], "{value}");
        }
        let many = |count: usize| vec!["a@example.com"; count].join(",");
        assert_eq!(wrong(&all_but("NOTIFY_EMAIL_TO", &many(50))), [""; 0]);
        assert_eq!(wrong(&all_but("NOTIFY_EMAIL_TO", &many(51))), ["NOTIFY_EMAIL_TO"]);
    }

    #[test]
    fn a_severity_is_one_of_four_words() {
        for channel in [&PAGERDUTY, &SLACK, &DISCORD, &EMAIL, &WEBHOOK] {
            for value in ["canary", "HIGH", "high,warning"] {
                assert_eq!(wrong(&all_but(channel.least, value)), [channel.least]);
            }
        }
        assert_eq!(
            sentences(&[("NOTIFY_SLACK_MIN_SEVERITY", "canary")]),
            ["NOTIFY_SLACK_MIN_SEVERITY must be critical, high, warning or info."]
        );
    }

    #[test]
    fn a_digest_comes_every_week_or_not_at_all() {
        for (value, expected) in [("", true), ("weekly", true), ("off", false)] {
            assert_eq!(config(&[("NOTIFY_DIGEST", value)]).notify_digest(), Ok(expected));
        }
        assert_eq!(config(&[]).notify_digest(), Ok(true));
        for value in ["canary", "Weekly", "on", "daily"] {
            assert_eq!(wrong(&[("NOTIFY_DIGEST", value)]), ["NOTIFY_DIGEST"], "{value}");
        }
        assert_eq!(sentences(&[("NOTIFY_DIGEST", "canary")]), ["NOTIFY_DIGEST must be weekly or off."]);
        // It belongs to no channel.
        assert_eq!(config(&[("NOTIFY_DIGEST", "weekly")]).notify_fingerprint(&SLACK), None);
    }

    #[test]
    fn what_is_missing_is_told_once_by_the_first_that_needs_it() {
        let (key, from, to) =
            (("RESEND_API_KEY", "re_1"), ("NOTIFY_EMAIL_FROM", "a@b.c"), ("NOTIFY_EMAIL_TO", "d@e.f"));
        let (url, secret, previous) = (
            ("NOTIFY_WEBHOOK_URL", "https://a.example"),
            ("NOTIFY_WEBHOOK_SECRET", SIGNING),
            ("NOTIFY_WEBHOOK_SECRET_PREVIOUS", SIGNING),
        );
        for (pairs, expected) in [
            (vec![key], "RESEND_API_KEY needs NOTIFY_EMAIL_FROM and NOTIFY_EMAIL_TO, which are not set."),
            (vec![key, from], "RESEND_API_KEY needs NOTIFY_EMAIL_TO, which is not set."),
            (vec![key, to], "RESEND_API_KEY needs NOTIFY_EMAIL_FROM, which is not set."),
            (vec![from, to], "NOTIFY_EMAIL_FROM needs RESEND_API_KEY, which is not set."),
            (vec![to], "NOTIFY_EMAIL_TO needs RESEND_API_KEY and NOTIFY_EMAIL_FROM, which are not set."),
            (vec![url], "NOTIFY_WEBHOOK_URL needs NOTIFY_WEBHOOK_SECRET, which is not set."),
            (vec![url, previous], "NOTIFY_WEBHOOK_URL needs NOTIFY_WEBHOOK_SECRET, which is not set."),
            (vec![secret], "NOTIFY_WEBHOOK_SECRET needs NOTIFY_WEBHOOK_URL, which is not set."),
            (
                vec![previous],
                "NOTIFY_WEBHOOK_SECRET_PREVIOUS needs NOTIFY_WEBHOOK_URL and NOTIFY_WEBHOOK_SECRET, which are not set.",
            ),
        ] {
            assert_eq!(sentences(&pairs), [expected]);
            let config = config(&pairs);
            let channel = config.notify_email().map(drop).and(config.notify_webhook().map(drop));
            assert_eq!(channel, Err(SettingError(expected.to_owned())));
        }
        assert_eq!(sentences(&[key, from, to]), [""; 0]);
        assert_eq!(sentences(&[url, secret]), [""; 0]);
    }

    #[test]
    fn a_changed_setting_changes_the_fingerprint_of_its_channel_and_of_no_other() {
        let channels = [&PAGERDUTY, &SLACK, &DISCORD, &EMAIL, &WEBHOOK];
        let of = |config: &Config| channels.map(|channel| config.notify_fingerprint(channel).expect("set"));
        let before = of(&config(ALL));
        assert!(before.iter().all(|text| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())));
        assert_eq!(before, of(&config(ALL)), "the same settings are the same");
        for (name, _) in ALL.iter().filter(|(name, _)| *name != "PUBLIC_URL") {
            for value in ["other", ""] {
                let config = config(&all_but(name, value));
                let changed: Vec<bool> = channels
                    .iter()
                    .zip(&before)
                    .map(|(channel, before)| config.notify_fingerprint(channel).as_ref() != Some(before))
                    .collect();
                assert_eq!(changed.iter().filter(|changed| **changed).count(), 1, "{name}: {changed:?}");
            }
        }
        assert_eq!(before, of(&config(&all_but("PUBLIC_URL", "other"))));
    }

    #[test]
    fn what_only_says_how_does_not_turn_a_channel_on() {
        let only =
            [("NOTIFY_PAGERDUTY_MIN_SEVERITY", "high"), ("NOTIFY_PAGERDUTY_BASE", "https://a.example")];
        assert_eq!(config(&only).notify_fingerprint(&PAGERDUTY), None);
        assert_eq!(config(&only).notify_pagerduty(), Ok(None));
    }

    #[test]
    fn debug_output_holds_no_value() {
        let config = config(ALL);
        let shown = format!(
            "{:?} {:?} {:?} {:?} {:?}",
            config.notify_pagerduty(),
            config.notify_slack(),
            config.notify_discord(),
            config.notify_email(),
            config.notify_webhook()
        );
        for (name, value) in
            ALL.iter().filter(|(name, _)| !name.ends_with("_SEVERITY") && !name.ends_with("_BASE"))
        {
            assert!(!shown.contains(value), "{name}: {shown}");
        }
        for part in ["token", "example.com", "MDEy", "0123", "48, 49"] {
            assert!(!shown.contains(part), "{part}: {shown}");
        }
    }
}
