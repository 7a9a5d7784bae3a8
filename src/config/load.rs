//! Laying the layers over each other: defaults, file, environment, flags.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;

use config::{Config, File, FileFormat, Map};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Settings, files, validate};

const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Variables with a name of their own, and the settings they mean. The same with `_FILE` names a file.
const GENERAL: [(&str, &str); 1] = [("DATABASE_URL", "DATABASE__URL")];

/// The environment variables settings are read from; an argument, so that tests need not change
/// those of the process.
pub type Environment = HashMap<String, String>;

/// What the command line says, the topmost layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--bind`
    pub bind: Option<SocketAddr>,
    /// `--database-url`
    pub database_url: Option<String>,
    /// `--no-migrate`
    pub no_migrate: bool,
}

impl Settings {
    /// The built-in settings alone, unchecked; what tests start from.
    pub fn defaults() -> Result<Self, Vec<String>> {
        merge(&Flags::default(), &Environment::new()).and_then(parse)
    }

    /// Reads all layers, with the environment of this process, and checks what comes out. The error
    /// is every problem found, a sentence each.
    pub fn load(flags: &Flags) -> Result<Self, Vec<String>> {
        // Variables that are not text are none of ours.
        let environment =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
        Self::load_with(flags, &environment, validate::file_limit())
    }

    /// As [`Settings::load`], with the environment and the process's file limit as given.
    pub fn load_with(flags: &Flags, environment: &Environment, file_limit: Option<usize>) -> Result<Self, Vec<String>> {
        let mut settings = parse(merge(flags, environment)?)?;
        let problems = settings.problems(file_limit);
        if !problems.is_empty() {
            return Err(problems);
        }
        if settings.limits.max_connections == 0 {
            settings.limits.max_connections = validate::connections_within(file_limit);
        }
        Ok(settings)
    }
}

/// All layers merged, and a sentence for each file of a secret that cannot be taken.
struct Merged {
    settings: Value,
    problems: Vec<String>,
}

fn merge(flags: &Flags, environment: &Environment) -> Result<Merged, Vec<String>> {
    let say = |error: config::ConfigError| vec![format!("The configuration cannot be read: {error}.")];
    let given = given(flags, environment).map_err(say)?;
    let merged = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml)).add_source(given.clone());
    let mut settings = merged.build().and_then(Config::try_deserialize).map_err(say)?;
    let mut problems = Vec::new();
    files::take_up(&mut settings, &given.try_deserialize().map_err(say)?, known(), &mut problems);
    Ok(Merged { settings, problems })
}

/// Everything that was set, without the defaults below.
fn given(flags: &Flags, environment: &Environment) -> Result<Config, config::ConfigError> {
    let variables = |prefix: &str, variables: Map<String, String>| {
        config::Environment::with_prefix(prefix).prefix_separator("__").separator("__").source(Some(variables))
    };
    let mut builder = Config::builder();
    if let Some(path) = &flags.config {
        builder = builder.add_source(File::from(path.as_path()).format(FileFormat::Toml));
    }
    // Below SWITCHBOARD__DATABASE__URL: what names us wins over what is named in general.
    let general =
        GENERAL.iter().flat_map(|(name, setting)| ["", "_FILE"].map(|end| (format!("{name}{end}"), setting, end)));
    let general = general.filter_map(|(name, setting, end)| {
        let value = environment.get(&name).filter(|value| !value.is_empty())?;
        Some((format!("X__{setting}{end}"), value.clone()))
    });
    let named = environment.iter().map(|(name, value)| (name.clone(), value.clone()));
    builder
        .add_source(variables("X", general.collect()))
        .add_source(variables("SWITCHBOARD", named.collect()))
        .set_override_option("server.bind", flags.bind.map(|bind| bind.to_string()))?
        .set_override_option("database.url", flags.database_url.clone())?
        .set_override_option("database.migrate", flags.no_migrate.then_some(false))?
        .build()
}

/// The sections and keys there are, with their defaults.
fn known() -> &'static toml::Table {
    static KNOWN: LazyLock<toml::Table> = LazyLock::new(|| DEFAULTS.parse().unwrap_or_default());
    &KNOWN
}

/// Reads the sections one by one, so that a mistake in one does not hide those in the others.
fn parse(merged: Merged) -> Result<Settings, Vec<String>> {
    let Merged { settings: merged, mut problems } = merged;
    problems.extend(unknown_keys(&merged));
    let read = &mut problems;
    let sections = (
        section(&merged, "server", read),
        section(&merged, "database", read),
        section(&merged, "auth", read),
        section(&merged, "call", read),
        section(&merged, "presence", read),
        section(&merged, "limits", read),
        section(&merged, "chat", read),
        section(&merged, "outbound", read),
        section(&merged, "ice", read),
        section(&merged, "node", read),
    );
    match sections {
        (
            Some(server),
            Some(database),
            Some(auth),
            Some(call),
            Some(presence),
            Some(limits),
            Some(chat),
            Some(outbound),
            Some(ice),
            Some(node),
        ) if problems.is_empty() => {
            Ok(Settings { server, database, auth, call, presence, limits, chat, outbound, ice, node })
        }
        _ => Err(problems),
    }
}

/// Every key that `default.toml` does not have, which is every key we do not know.
fn unknown_keys(merged: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for (section, keys) in merged.as_object().into_iter().flatten() {
        let Some(known) = known().get(section).and_then(toml::Value::as_table) else {
            problems.push(format!("There is no section \"{section}\" in the configuration."));
            continue;
        };
        for key in keys.as_object().into_iter().flatten().map(|(key, _)| key).filter(|key| !known.contains_key(*key)) {
            problems.push(format!("There is no setting {section}.{key}."));
        }
    }
    problems
}

fn section<T: DeserializeOwned>(merged: &Value, name: &str, problems: &mut Vec<String>) -> Option<T> {
    let mut values = merged.get(name).cloned().unwrap_or_default();
    let mut sound = true;
    for (key, value) in values.as_object_mut().into_iter().flatten() {
        sound &= retype(name, key, value, problems);
    }
    if !sound {
        return None;
    }
    let already = problems.len();
    match serde_json::from_value(values) {
        Ok(section) => Some(section),
        Err(error) => {
            // An unknown key was reported by name before.
            if already == problems.len() && !error.to_string().starts_with("unknown field") {
                problems.push(format!("Section {name} cannot be read: {error}."));
            }
            None
        }
    }
}

/// Gives a text from the environment the type its default has, and says where it has none.
fn retype(section: &str, key: &str, value: &mut Value, problems: &mut Vec<String>) -> bool {
    let Some(default) = known().get(section).and_then(|s| s.get(key)) else { return true };
    let better = match (default, &*value) {
        (toml::Value::Integer(_), Value::String(text)) => text.parse::<u64>().ok().map(Value::from),
        (toml::Value::Integer(_), Value::Number(number)) => number.as_u64().map(Value::from),
        (toml::Value::Boolean(_), Value::String(text)) => text.to_lowercase().parse::<bool>().ok().map(Value::from),
        (toml::Value::String(_), Value::Number(number)) if !is_duration(default) => {
            Some(Value::from(number.to_string()))
        }
        (toml::Value::String(_), Value::String(text)) if is_duration(default) => {
            duration(text).is_some().then(|| value.clone())
        }
        (toml::Value::String(_), Value::String(_))
        | (toml::Value::Boolean(_), Value::Bool(_))
        | (toml::Value::Array(_), Value::Array(_) | Value::String(_)) => return true,
        _ => None,
    };
    let wanted = match default {
        toml::Value::Integer(_) => "a whole number, 0 or more",
        toml::Value::Boolean(_) => "true or false",
        toml::Value::Array(_) => "a list of texts",
        _ if is_duration(default) => "a duration such as 30s or 500ms",
        _ => "a text",
    };
    let Some(better) = better else {
        // The value is not repeated: it may be a secret that slipped into the wrong place.
        problems.push(format!("{section}.{key} must be {wanted}."));
        return false;
    };
    *value = better;
    true
}

fn is_duration(default: &toml::Value) -> bool {
    default.as_str().is_some_and(|text| duration(text).is_some())
}

/// A duration as settings write it: `30s`, `500ms`, `1h`.
pub fn duration(text: &str) -> Option<std::time::Duration> {
    use serde::de::IntoDeserializer;
    let text: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
    humantime_serde::deserialize(text).ok()
}
