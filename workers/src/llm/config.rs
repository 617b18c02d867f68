//! Which responder the settings name, checked as a whole before anything connects.

use std::time::Duration;

use mondo_jobs::env::Env;
use reqwest::Url;
use secrecy::SecretString;

use super::openai::OpenAiConfig;

/// One call may take this long, in seconds, unless a setting says otherwise.
const TIMEOUT_SECS: u64 = 600;

/// A connection without a byte for so long, in seconds, is broken unless a setting says otherwise. Local
/// servers load a model before the first byte, so it is generous.
const IDLE_SECS: u64 = 120;

/// Which responder to ask.
#[derive(Debug, Clone)]
pub struct LlmConfig {
    /// The responder and what it needs.
    pub responder: Responder,
    /// What a person should know about the choice, one sentence.
    pub hint: Option<String>,
}

/// One LLM upstream.
#[derive(Debug, Clone)]
pub enum Responder {
    /// The built-in generator: no LLM, no network, no key.
    Offline,
    /// A server that speaks the `OpenAI` protocol.
    OpenAi(OpenAiConfig),
}

impl LlmConfig {
    /// Reads the settings `MONDO_RESPONDER`, `MONDO_BASE_URL`, `MONDO_API_KEY`, `MONDO_MODEL`,
    /// `MONDO_LLM_TIMEOUT_SECS`, `MONDO_LLM_IDLE_SECS`, `MONDO_PRICE_IN`, `MONDO_PRICE_OUT` and the key
    /// variables of the presets. Problems are noted in `env`.
    pub fn from_env(env: &mut Env) -> Self {
        let named = env.read("MONDO_RESPONDER", None, &names(), |text| Preset::named(text).map(Some));
        let settings = Settings {
            base_url: base_url(env),
            key: env.secret("MONDO_API_KEY"),
            model: env.text("MONDO_MODEL"),
            timeout: Duration::from_secs(env.number("MONDO_LLM_TIMEOUT_SECS", TIMEOUT_SECS, 1..=3600)),
            idle: Duration::from_secs(env.number("MONDO_LLM_IDLE_SECS", IDLE_SECS, 1..=3600)),
            price_in: price(env, "MONDO_PRICE_IN"),
            price_out: price(env, "MONDO_PRICE_OUT"),
        };
        // Every preset's variable is read, so that none of them is called unknown and a hint can name it.
        let keys = PRESETS.map(|preset| preset.key_variable.and_then(|name| env.secret(name)));

        match named {
            Some(preset) if preset.name != OFFLINE => {
                let at = PRESETS.iter().position(|other| other.name == preset.name).unwrap_or(0);
                let preset_key = keys.into_iter().nth(at).flatten();
                Self { responder: Responder::OpenAi(settings.complete(env, preset, preset_key)), hint: None }
            }
            Some(_) => Self { responder: Responder::Offline, hint: None },
            None => {
                settings.refuse_without_responder(env);
                Self { responder: Responder::Offline, hint: hint(&keys) }
            }
        }
    }

    /// Provider and model: `openrouter/<model>`, `mondo/offline`.
    pub fn name(&self) -> String {
        match &self.responder {
            Responder::Offline => "mondo/offline".to_owned(),
            Responder::OpenAi(config) => config.responder(),
        }
    }

    /// How long one call may take.
    pub fn call_time_max(&self) -> Duration {
        match &self.responder {
            Responder::Offline => Duration::from_secs(TIMEOUT_SECS),
            Responder::OpenAi(config) => config.timeout,
        }
    }

    /// One line for the log at start: who answers, where, and what else could.
    pub fn start_line(&self) -> String {
        let mut line = match &self.responder {
            Responder::Offline => "responder: mondo/offline (built in, no LLM)".to_owned(),
            Responder::OpenAi(config) => format!(
                "responder: {} at {} ({})",
                config.responder(),
                config.base_url,
                if config.key.is_some() { "with a key" } else { "without a key" }
            ),
        };
        if let Some(hint) = &self.hint {
            line.push_str("; ");
            line.push_str(hint);
        }
        line
    }
}

const OFFLINE: &str = "offline";

/// What is known of a provider without asking the operator.
struct Preset {
    name: &'static str,
    base_url: &'static str,
    key_variable: Option<&'static str>,
}

const PRESETS: [Preset; 5] = [
    Preset { name: OFFLINE, base_url: "", key_variable: None },
    Preset { name: "openai", base_url: "https://api.openai.com/v1", key_variable: Some("OPENAI_API_KEY") },
    Preset {
        name: "openrouter",
        base_url: "https://openrouter.ai/api/v1",
        key_variable: Some("OPENROUTER_API_KEY"),
    },
    Preset {
        name: "together",
        base_url: "https://api.together.xyz/v1",
        key_variable: Some("TOGETHER_API_KEY"),
    },
    Preset { name: "ollama", base_url: "http://127.0.0.1:11434/v1", key_variable: None },
];

impl Preset {
    fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }
}

fn names() -> String {
    format!("one of {}", PRESETS.map(|preset| preset.name).join(", "))
}

/// What the operator set, whoever the responder is.
struct Settings {
    base_url: Option<String>,
    key: Option<SecretString>,
    model: Option<String>,
    timeout: Duration,
    idle: Duration,
    price_in: f64,
    price_out: f64,
}

impl Settings {
    /// The settings of one preset; what is missing is noted in `env`.
    fn complete(self, env: &mut Env, preset: &Preset, preset_key: Option<SecretString>) -> OpenAiConfig {
        let name = preset.name;
        if self.model.is_none() {
            env.problem(format!(
                "MONDO_MODEL is not set; accepted is the name of a model that `{name}` serves, because \
                 MONDO_RESPONDER is `{name}`"
            ));
        }
        let key = match &self.base_url {
            // A preset's key never goes to a server that the preset does not name.
            Some(_) => self.key,
            None => self.key.or(preset_key),
        };
        if let (None, None, Some(variable)) = (&self.base_url, &key, preset.key_variable) {
            env.problem(format!(
                "{variable} is not set; accepted is the key of your account, because MONDO_RESPONDER is \
                 `{name}`"
            ));
        }
        OpenAiConfig {
            provider: name.to_owned(),
            base_url: self.base_url.unwrap_or_else(|| preset.base_url.to_owned()),
            key,
            model: self.model.unwrap_or_default(),
            timeout: self.timeout,
            idle: self.idle,
            price_in: self.price_in,
            price_out: self.price_out,
        }
    }

    /// A model or server that is set without saying who speaks to it would be ignored in silence.
    fn refuse_without_responder(&self, env: &mut Env) {
        let set = [
            ("MONDO_BASE_URL", self.base_url.is_some()),
            ("MONDO_API_KEY", self.key.is_some()),
            ("MONDO_MODEL", self.model.is_some()),
        ];
        for (name, _) in set.iter().filter(|(_, set)| *set) {
            env.problem(format!(
                "{name} is set, but MONDO_RESPONDER is not, so nobody would use it; accepted for \
                 MONDO_RESPONDER is {}, and `openai` fits any server that speaks its protocol",
                names()
            ));
        }
    }
}

fn base_url(env: &mut Env) -> Option<String> {
    let text = env.text("MONDO_BASE_URL")?;
    match Url::parse(&text) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            env.problem(
                "MONDO_BASE_URL carries credentials; accepted is a URL without, with the key in MONDO_API_KEY",
            );
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => return Some(text),
        _ => env.problem(format!(
            "MONDO_BASE_URL is `{text}`; accepted is an http or https URL such as `http://127.0.0.1:8000/v1`"
        )),
    }
    None
}

fn price(env: &mut Env, name: &'static str) -> f64 {
    env.read(name, 0.0, "a price in US dollars per million tokens, from 0 to 10000", |text| {
        text.parse().ok().filter(|price| (0.0..=10_000.0).contains(price))
    })
}

fn hint(keys: &[Option<SecretString>; PRESETS.len()]) -> Option<String> {
    let (preset, _) = PRESETS.iter().zip(keys).find(|(_, key)| key.is_some())?;
    let variable = preset.key_variable?;
    Some(format!("{variable} is set: MONDO_RESPONDER={} with MONDO_MODEL=<model> uses it", preset.name))
}

#[cfg(test)]
mod tests {
    use mondo_jobs::env::EnvError;
    use secrecy::ExposeSecret;

    use super::*;

    fn read(values: &[(&str, &str)]) -> (LlmConfig, Result<(), EnvError>) {
        let mut env = Env::of(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let config = LlmConfig::from_env(&mut env);
        (config, env.finish())
    }

    fn server(values: &[(&str, &str)]) -> OpenAiConfig {
        let (config, result) = read(values);
        assert_eq!(result, Ok(()));
        match config.responder {
            Responder::OpenAi(config) => config,
            Responder::Offline => panic!("offline"),
        }
    }

    fn problems(values: &[(&str, &str)]) -> Vec<String> {
        read(values).1.unwrap_err().0
    }

    #[test]
    fn nothing_set_means_offline() {
        let (config, result) = read(&[]);
        assert_eq!(result, Ok(()));
        assert_eq!(config.start_line(), "responder: mondo/offline (built in, no LLM)");
    }

    #[test]
    fn a_key_alone_is_a_hint_and_not_a_choice() {
        let (config, result) = read(&[("OPENROUTER_API_KEY", "sk-or-1")]);
        assert_eq!(result, Ok(()));
        assert!(matches!(config.responder, Responder::Offline));
        assert_eq!(
            config.start_line(),
            "responder: mondo/offline (built in, no LLM); OPENROUTER_API_KEY is set: MONDO_RESPONDER=openrouter \
             with MONDO_MODEL=<model> uses it"
        );
    }

    #[test]
    fn each_preset_knows_its_server_and_key() {
        for (name, variable, base_url) in [
            ("openai", "OPENAI_API_KEY", "https://api.openai.com/v1"),
            ("openrouter", "OPENROUTER_API_KEY", "https://openrouter.ai/api/v1"),
            ("together", "TOGETHER_API_KEY", "https://api.together.xyz/v1"),
        ] {
            let config = server(&[("MONDO_RESPONDER", name), ("MONDO_MODEL", "m"), (variable, "sk-1")]);
            assert_eq!(config.base_url, base_url);
            assert_eq!(config.responder(), format!("{name}/m"));
            assert_eq!(config.key.unwrap().expose_secret(), "sk-1");
        }
    }

    #[test]
    fn ollama_needs_no_key() {
        let config = server(&[("MONDO_RESPONDER", "ollama"), ("MONDO_MODEL", "m")]);
        assert!(config.key.is_none());
    }

    #[test]
    fn a_presets_key_never_goes_to_another_server() {
        let config = server(&[
            ("MONDO_RESPONDER", "openai"),
            ("MONDO_MODEL", "m"),
            ("OPENAI_API_KEY", "sk-1"),
            ("MONDO_BASE_URL", "http://127.0.0.1:8000/v1"),
        ]);
        assert!(config.key.is_none());
    }

    #[test]
    fn what_is_missing_is_named_with_what_is_accepted() {
        insta::assert_snapshot!(problems(&[("MONDO_RESPONDER", "openai")]).join("\n"), @"
        MONDO_MODEL is not set; accepted is the name of a model that `openai` serves, because MONDO_RESPONDER is `openai`
        OPENAI_API_KEY is not set; accepted is the key of your account, because MONDO_RESPONDER is `openai`
        ");
    }

    #[test]
    fn wrong_values_are_named_with_what_is_accepted() {
        let problems = problems(&[
            ("MONDO_RESPONDER", "oracle"),
            ("MONDO_BASE_URL", "localhost:8000"),
            ("MONDO_PRICE_IN", "cheap"),
            ("MONDO_PRICE_OUT", "NaN"),
            ("MONDO_LLM_IDLE_SECS", "0"),
        ]);
        insta::assert_snapshot!(problems.join("\n"), @"
        MONDO_RESPONDER is `oracle`; accepted is one of offline, openai, openrouter, together, ollama
        MONDO_BASE_URL is `localhost:8000`; accepted is an http or https URL such as `http://127.0.0.1:8000/v1`
        MONDO_LLM_IDLE_SECS is `0`; accepted is a whole number from 1 to 3600
        MONDO_PRICE_IN is `cheap`; accepted is a price in US dollars per million tokens, from 0 to 10000
        MONDO_PRICE_OUT is `NaN`; accepted is a price in US dollars per million tokens, from 0 to 10000
        ");
    }

    #[test]
    fn a_model_without_a_responder_is_refused() {
        let problems = problems(&[("MONDO_MODEL", "m")]);
        assert!(problems[0].starts_with("MONDO_MODEL is set, but MONDO_RESPONDER is not"), "{problems:?}");
        assert_eq!(read(&[("MONDO_MODEL", "m"), ("MONDO_RESPONDER", "offline")]).1, Ok(()));
    }

    #[test]
    fn a_url_with_credentials_is_refused_without_printing_them() {
        let problems = problems(&[
            ("MONDO_RESPONDER", "openai"),
            ("MONDO_MODEL", "m"),
            ("MONDO_BASE_URL", "https://me:secret@llm.example/v1"),
        ]);
        assert!(!problems.join("").contains("secret"), "{problems:?}");
    }
}
