//! Every guard of the matrix runs, and every guard matters.
//!
//! `matrix` holds the matrix that is computed at load against what a chain notes while it runs, over generated policies.
//! `guards` has for each guard an input that this guard alone stops or changes. `streams` cuts a streamed answer at every
//! byte.
//!
//! That every guard matters was tried by making each in turn do nothing (`check` returns `Continue`; for answers, the body
//! passes unread, unjudged, or the stream is opened without guards) and running these tests. What fails then, besides the
//! matrix:
//!
//! | without | fails |
//! |---|---|
//! | frame | `guards::frame` |
//! | crossSite | `guards::cross_site` |
//! | address limits | `guards::address_limits` |
//! | identify | `guards::identify`, and all that passes |
//! | digest | `guards::digest` |
//! | principal limits | `guards::principal_limits` |
//! | parse | `guards::parse`, and all that passes |
//! | prompts | `prompts::system_text_of_clients` |
//! | what is put into prompts | `prompts::{layers, canaries_in_answers_and_streams, marks_around_results}` |
//! | look | `guards::look`, and all that passes where content is inspected |
//! | authorize | `guards::authorize` |
//! | act | `guards::{body_of_plain_http, data_on_the_way_in, hidden_text, injection, query_of_plain_http}` |
//! | external | `external::tests` of the crate, and `matrix` |
//! | the decision after a rewrite | `guards::decided_again` |
//! | parse of answers | `guards::parse_of_answers` and the four below |
//! | content of whole answers | `guards::{answers_of_plain_http, blocked_on_the_way_out, data_on_the_way_out, hidden_text_in_answers, links_in_answers, markup_in_answers}` |
//! | the length of answers | `guards::length_of_answers` |
//! | tools on offer, calls so far, streams of what fits a schema, depth | `guards::{tools_on_offer, calls_of_what_is_offered}`, `guards::{calls_so_far, calls_that_go_on}`, `guards::streams_of_what_fits_a_schema`, `guards::depth` |
//! | calls in answers and streams | `guards::{calls_of_what_is_offered, calls_that_go_on, what_fits_a_schema}` |
//! | schemas of answers and streams | `guards::what_fits_a_schema` |
//! | content of streams | `guards::{blocked_on_the_way_out, data_on_the_way_out, hidden_text_in_answers}`, both of `streams` |

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(missing_debug_implementations, unreachable_pub, reason = "tests")]

#[path = "coverage/guards.rs"]
mod guards;
#[path = "coverage/matrix.rs"]
mod matrix;
#[path = "coverage/planted.rs"]
mod planted;
#[path = "coverage/plants.rs"]
mod plants;
#[path = "coverage/prompts.rs"]
mod prompts;
#[path = "coverage/streams.rs"]
mod streams;
#[path = "../src/testing.rs"]
mod testing;
#[path = "coverage/vendors.rs"]
mod vendors;
