//! Secrets from files, as containers receive them: beside a setting `x` that may hold a secret stands `x_file`, the path
//! of a file with its value.
//!
//! `default.toml` is the list: each setting that has a `_file` beside it may come from a file. `auth.public_key_file` is
//! none of these, as there is no `auth.public_key`. A complaint names the setting and the path, never the content.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

/// The largest file read. No secret is longer, and a file that is one by mistake is not read to its end.
const MAX_BYTES: usize = 64 * 1024;

/// Reads the files that are named in `given` into `merged`. `given` holds all layers but the built-in defaults; `merged`
/// holds those as well. Adds a sentence to `problems` for each file that cannot be taken.
pub(super) fn take_up(merged: &mut Value, given: &Value, defaults: &toml::Table, problems: &mut Vec<String>) {
    for (section, keys) in defaults.iter().filter_map(|(section, keys)| Some((section, keys.as_table()?))) {
        for key in keys.keys() {
            let named_by = format!("{key}_file");
            if !keys.contains_key(&named_by) || !is_set(given, section, &named_by) {
                continue;
            }
            if is_set(given, section, key) {
                problems.push(format!(
                    "{section}.{key} and {section}.{named_by} are both set, each in some layer (file, environment, flags); \
                     keep the one that is meant. An empty text takes one back."
                ));
                continue;
            }
            // `load::retype` complains of a value that is no text.
            let Some(path) = given[section][&named_by].as_str() else { continue };
            match read(Path::new(path)) {
                Ok(value) => merged[section][key] = value.into(),
                Err(why) => problems.push(format!("{section}.{named_by} names {path}, which {why}.")),
            }
        }
    }
}

/// Whether the key has a value. The empty text means none.
fn is_set(given: &Value, section: &str, key: &str) -> bool {
    given.get(section).and_then(|keys| keys.get(key)).is_some_and(|value| value != "")
}

/// Reads a whole file of at most `most` bytes. The error completes a sentence.
pub fn read_file(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    // A pipe could keep the start waiting for ever, and a device may have no end.
    if !path.metadata().map_err(cannot)?.is_file() {
        return Err("is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(most as u64 + 1).read_to_end(&mut bytes)).map_err(cannot)?;
    if bytes.len() > most { Err(format!("has more than {most} bytes")) } else { Ok(bytes) }
}

/// Reads a secret, less one line break at its end, which editors and `echo` add. The error completes a sentence.
fn read(path: &Path) -> Result<String, String> {
    let mut text = String::from_utf8(read_file(path, MAX_BYTES)?).map_err(|_| "is not UTF-8".to_owned())?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::tests::{env, load, sentences};
    use super::super::{Environment, Flags, Secret, Settings};

    /// A file with these bytes, and its path.
    fn file(bytes: &[u8]) -> (tempfile::NamedTempFile, String) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        (file, path)
    }

    const LONG: &str = "hush-hush-hush-hush-hush-hush-hush";

    #[test]
    fn every_secret_may_come_from_a_file_less_one_line_break_at_its_end() {
        type Exposed = fn(&Settings) -> String;
        let secret = |secret: &Option<Secret>| secret.as_ref().unwrap().expose().to_owned();
        let cases: [(&str, &str, Exposed); 4] = [
            ("SWITCHBOARD__AUTH__JWT_SECRET_FILE", "", |s| s.auth.jwt_secret.as_ref().unwrap().expose().to_owned()),
            ("SWITCHBOARD__ICE__TURN_SECRET_FILE", "", |s| s.ice.turn_secret.as_ref().unwrap().expose().to_owned()),
            ("SWITCHBOARD__DATABASE__URL_FILE", "postgres://ann:", |s| s.database.url.clone()),
            ("DATABASE_URL_FILE", "postgres://ann:", |s| s.database.url.clone()),
        ];
        for (name, scheme, exposed) in cases {
            let host = if scheme.is_empty() { "" } else { "@db.example/calls" };
            for (end, left) in [("", ""), ("\n", ""), ("\r\n", ""), ("\n\n", "\n"), ("\r", "\r"), (" \n", " ")] {
                let value = format!("{scheme}{LONG}{host}");
                let (_file, path) = file(format!("{value}{end}").as_bytes());
                let settings = load(&[(name, &path)]).unwrap();
                assert_eq!(exposed(&settings), format!("{value}{left}"), "{name} {end:?}");
                for shown in [settings.to_toml().unwrap(), format!("{settings:?}")] {
                    assert!(shown.contains(&path) && !shown.contains("hush"), "{shown}");
                }
            }
        }
        let (_file, secret_path) = file(LONG.as_bytes());
        let (_file, url_path) = file(b"sqlite:from-file\n");
        let (_toml, config) = file(
            format!("[auth]\njwt_secret_file = \"{secret_path}\"\n[database]\nurl_file = \"{url_path}\"").as_bytes(),
        );
        let flags = Flags { config: Some(config.into()), ..Flags::default() };
        let settings = Settings::load_with(&flags, &Environment::new(), None).unwrap();
        assert_eq!(
            (secret(&settings.auth.jwt_secret), settings.database.url.as_str()),
            (LONG.to_owned(), "sqlite:from-file")
        );
        // A layer above names another file, or none.
        let other = file(b"sqlite:other");
        let over = env(&[("DATABASE_URL_FILE", &other.1), ("SWITCHBOARD__AUTH__JWT_SECRET_FILE", "")]);
        let settings = Settings::load_with(&flags, &over, None).unwrap();
        assert_eq!((settings.auth.jwt_secret, settings.database.url.as_str()), (None, "sqlite:other"));
        let both = env(&[("DATABASE_URL_FILE", "/nowhere"), ("SWITCHBOARD__DATABASE__URL_FILE", &other.1)]);
        assert_eq!(Settings::load_with(&flags, &both, None).unwrap().database.url, "sqlite:other");
    }

    #[test]
    fn a_value_and_a_file_for_it_are_refused_wherever_they_stand() {
        let (_file, path) = file(LONG.as_bytes());
        let (_toml, config) =
            file(format!("[auth]\njwt_secret = \"{LONG}\"\n[database]\nurl_file = \"{path}\"").as_bytes());
        let flags = Flags { config: Some(config.into()), ..Flags::default() };
        let refused = |flags: &Flags, pairs: &[(&str, &str)]| {
            let said = Settings::load_with(flags, &env(pairs), None).unwrap_err().join("\n");
            assert!(!said.contains("hush"), "{said}");
            said
        };
        let secret = "auth.jwt_secret and auth.jwt_secret_file are both set";
        let url = "database.url and database.url_file are both set";
        assert!(refused(&flags, &[("SWITCHBOARD__AUTH__JWT_SECRET_FILE", &path)]).contains(secret));
        assert!(refused(&flags, &[("DATABASE_URL", "sqlite:a")]).contains(url));
        assert!(refused(&flags, &[("SWITCHBOARD__DATABASE__URL", "sqlite:a")]).contains(url));
        for name in ["DATABASE_URL_FILE", "SWITCHBOARD__DATABASE__URL_FILE"] {
            let both = refused(&Flags::default(), &[(name, &path), ("DATABASE_URL", "sqlite:a")]);
            assert!(both.contains(url) && both.lines().count() == 1, "{both}");
            let flag = Flags { database_url: Some("sqlite:flag".to_owned()), ..Flags::default() };
            assert!(refused(&flag, &[(name, &path)]).contains(url));
        }
        // An empty text takes back what another layer says.
        let fallen_back = env(&[
            ("SWITCHBOARD__AUTH__JWT_SECRET", ""),
            ("SWITCHBOARD__AUTH__JWT_SECRET_FILE", &path),
            ("SWITCHBOARD__DATABASE__URL_FILE", ""),
        ]);
        let settings = Settings::load_with(&flags, &fallen_back, None).unwrap();
        assert_eq!(settings.auth.jwt_secret.unwrap().expose(), LONG);
        assert_eq!(settings.database.url, Settings::defaults().unwrap().database.url);
    }

    #[test]
    fn a_file_that_holds_no_secret_is_named_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().to_str().unwrap();
        let gone = format!("{folder}/gone");
        let files = [
            (file(b""), "which is empty."),
            (file(b"\n"), "which is empty."),
            (file(b"hush\xff"), "which is not UTF-8."),
            (file(&[b'h'; 65_537]), "which has more than 65536 bytes."),
        ];
        let cases = files.iter().map(|((_, path), why)| (path.as_str(), *why));
        let cases = cases.chain([
            (gone.as_str(), "which cannot be read: No such file or directory"),
            (folder, "which is not a file."),
            ("/dev/zero", "which is not a file."),
        ]);
        for (path, why) in cases {
            let said = sentences(&[("SWITCHBOARD__ICE__TURN_SECRET_FILE", path), ("SWITCHBOARD__LIMITS__QUEUE", "-1")]);
            assert!(said.contains(&format!("ice.turn_secret_file names {path}, {why}")), "{said}");
            assert!(said.contains("limits.queue must be"), "with everything else that is wrong: {said}");
            assert!(!said.contains("hush"), "{said}");
        }
        // A setting of its own, which has nothing to do with this.
        let said =
            sentences(&[("SWITCHBOARD__AUTH__PUBLIC_KEY_FILE_FILE", &gone), ("SWITCHBOARD__NODE__ID_FILE", &gone)]);
        assert!(
            said.contains("no setting auth.public_key_file_file") && said.contains("no setting node.id_file"),
            "{said}"
        );
        load(&[("SWITCHBOARD__AUTH__PUBLIC_KEY_FILE", &gone)]).unwrap();
    }
}
