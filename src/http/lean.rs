//! What of a source a browser does not need: comments, types, blanks. Pure, and without a parser; a story compares each
//! script with its source.

/// A text without what is only for who reads its source: indentation, types (`/** @type … */`), and comments on lines of
/// their own, which become empty ones, so that a browser's line numbers are the source's. Nothing within a text may look
/// like a comment. Texts over several lines lose their indentation.
pub fn lean(text: &str) -> String {
    let mut lean = String::with_capacity(text.len());
    let mut within = false;
    for mut line in text.lines().map(str::trim_start) {
        if !within && line.starts_with("//") {
            line = "";
        }
        loop {
            if within {
                let Some((_, rest)) = line.split_once("*/") else { break };
                line = rest.trim_start();
            }
            let opened = if line.starts_with("/*") { Some(0) } else { line.find("/** @") };
            within = opened.is_some();
            let (code, rest) = line.split_at(opened.unwrap_or(line.len()));
            lean.push_str(code);
            line = rest;
            if !within {
                break;
            }
        }
        lean.push('\n');
    }
    lean
}

/// A script without the blanks that only please the eye: those beside a sign, outside of texts.
pub fn tight(script: &str) -> String {
    let beside = |sign: Option<char>| sign.is_some_and(|sign| "=<>?:,;(){}[]&|!*%".contains(sign));
    let mut tight = String::with_capacity(script.len());
    let mut quote = None;
    let mut signs = script.chars().peekable();
    while let Some(sign) = signs.next() {
        match quote {
            Some(_) if sign == '\\' => {
                tight.push(sign);
                tight.extend(signs.next());
                continue;
            }
            Some(open) if open == sign => quote = None,
            Some(_) => {}
            None if matches!(sign, '\'' | '"' | '`') => quote = Some(sign),
            None if sign == ' ' && (beside(tight.chars().next_back()) || beside(signs.peek().copied())) => continue,
            None => {}
        }
        tight.push(sign);
    }
    tight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_indentation_stay_here_and_lines_keep_their_numbers() {
        let source = "// About.\n\n/**\n * @param {string} id\n */\nfunction f(id) {\n  return id; // as it is\n}\n";
        assert_eq!(lean(source), "\n\n\n\n\nfunction f(id) {\nreturn id; // as it is\n}\n");
    }

    #[test]
    fn code_beside_a_comment_stays() {
        assert_eq!(
            lean("  /** @type {number} */ a = 1;\nconst at = 'http://x'; /* y */\n"),
            "a = 1;\nconst at = 'http://x'; /* y */\n"
        );
    }

    #[test]
    fn blanks_beside_signs_go_and_texts_stay() {
        let source = "const a = (b) => `x = ${ a }`; // it's\nreturn 'a = \\' = b' + c ? d : e;\n";
        assert_eq!(
            tight(&source.replace(" // it's", "")),
            "const a=(b)=>`x = ${ a }`;\nreturn 'a = \\' = b' + c?d:e;\n"
        );
    }
}
