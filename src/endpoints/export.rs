//! `GET /api/admin/export`: all drift, its history or all runs of a span of time, as CSV or NDJSON, page by page.

use std::str::FromStr as _;
use std::sync::Arc;

use http::Method;
use http::header::{CONTENT_DISPOSITION, LINK};
use strum::VariantNames as _;

use crate::auth;
use crate::context::Context;
use crate::http::operation::{Answer, Caller, Operation, Schema, Text};
use crate::http::parameters::{
    EXPORT_LIMIT, Parameters, describe_choice, describe_cursor, describe_time, required,
};
use crate::http::reply::{NEXT_CURSOR, TOTAL_COUNT};
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::report::db::{ExportFilter, Place, export};
use crate::report::export::{Format, Row, What, append, file_name, head};

/// Its route and methods.
pub const ENDPOINT: Endpoint = Endpoint { route: "/api/admin/export", methods: &[Method::GET, Method::HEAD] };

/// The most bytes of a page: the platform gives up on an answer beyond 4.5 MB (<https://vercel.com/docs/functions/limitations>). A page
/// that would be larger has fewer rows.
const LARGEST_PAGE: usize = 4_000_000;

/// What the OpenAPI document says of it.
pub fn operations() -> Vec<Operation> {
    vec![Operation {
        parameters: vec![
            required(describe_choice("what", "What is exported.", What::VARIANTS, None)),
            describe_choice("format", "How it is written.", Format::VARIANTS, Some("csv")),
            describe_time("from", "What was first seen, happened or started from this time on."),
            describe_time("to", "What did so before this time, and not at it."),
            EXPORT_LIMIT.describe(),
            describe_cursor(Place::PATTERN),
        ],
        ..Operation::get(
            "export",
            "Drift, its history or runs of a span of time, oldest first: as many pages as it takes.",
            Caller::Admin,
            Answer::Text(Text {
                media: &[
                    ("text/csv", "A head line on the first page, then one line for each row."),
                    ("application/x-ndjson", "One line for each row, an ExportedRow."),
                ],
                headers: &[
                    ("link", "The next page, as rel=\"next\", where there is one (RFC 8288)."),
                    ("x-next-cursor", "The cursor of the next page, where there is one."),
                    ("x-total-count", "How many rows the span has; with the first page only."),
                    ("content-disposition", "What a file of it is called; with the first page only."),
                ],
                line: Some(Schema::of::<Row>()),
            }),
        )
    }]
}

/// Answers a page, and where the next one begins.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let admin = auth::admin(&context, &call)?;
    call.no_body().await?;
    let parameters = call.parameters(&["what", "format", "from", "to", "limit", "cursor"])?;
    let (format, filter) = read(&parameters)?;
    let exported = export(&admin, &filter).await?;

    let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let asked_for = &exported.rows[..exported.rows.len().min(limit)];
    let first = filter.cursor.is_none();
    let mut text = if first && format == Format::Csv { head(filter.what) } else { String::new() };
    let written = append(&mut text, filter.what, format, asked_for, LARGEST_PAGE)
        .map_err(|error| ApiError::internal(format!("a row does not serialize: {error}")))?;

    let media = match format {
        Format::Csv if first => "text/csv; charset=utf-8; header=present",
        Format::Csv => "text/csv; charset=utf-8; header=absent",
        Format::Ndjson => "application/x-ndjson; charset=utf-8",
    };
    let mut reply = Reply::text(media, text);
    if first {
        let name = file_name(filter.what, format, filter.from, filter.to);
        reply = reply.with_header(CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""));
    }
    if let Some(total) = exported.total {
        reply = reply.with_header(TOTAL_COUNT, total.to_string());
    }
    if let Some(last) = asked_for[..written].last().filter(|_| written < exported.rows.len()) {
        let cursor = Place::of(last).to_text();
        let link = format!("<{}?{}>; rel=\"next\"", ENDPOINT.route, next(&parameters, &cursor));
        reply = reply.with_header(LINK, link).with_header(NEXT_CURSOR, cursor);
    }
    Ok(reply)
}

/// What is asked for. Errors: 400 naming what is wrong.
fn read(parameters: &Parameters) -> Result<(Format, ExportFilter), ApiError> {
    let what = parameters.one_of("what", What::VARIANTS)?.and_then(|word| What::from_str(word).ok());
    let what = what.ok_or_else(|| {
        ApiError::invalid(format!("what is missing: it must be one of {}.", What::VARIANTS.join(", ")))
    })?;
    let format = parameters.one_of("format", Format::VARIANTS)?.and_then(|word| Format::from_str(word).ok());
    let (from, to) = (parameters.time("from")?, parameters.time("to")?);
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(ApiError::invalid("to must not be before from."));
    }
    let place = |text| {
        Place::parse(what, text).ok_or_else(|| ApiError::invalid("cursor is not one this export returned."))
    };
    let cursor = parameters.get("cursor").map(place).transpose()?;
    let limit = parameters.whole_number(&EXPORT_LIMIT)?;
    Ok((format.unwrap_or(Format::Csv), ExportFilter { what, from, to, limit, cursor }))
}

/// The query of the next page: what was asked for, from there on.
fn next(parameters: &Parameters, cursor: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for name in ["what", "format", "from", "to", "limit"] {
        if let Some(value) = parameters.get(name) {
            query.append_pair(name, value);
        }
    }
    query.append_pair("cursor", cursor).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::parse(query, &["what", "format", "from", "to", "limit", "cursor"]).expect("known")
    }

    #[test]
    fn what_is_asked_for_is_read_strictly() {
        let message = |query: &str| read(&parameters(query)).expect_err("refused").message;
        assert_eq!(message(""), "what is missing: it must be one of drift, history, runs.");
        assert_eq!(message("what=alerts"), "what must be one of drift, history, runs.");
        assert_eq!(message("what=runs&format=xls"), "format must be one of csv, ndjson.");
        assert_eq!(message("what=runs&limit=1001"), "limit must be a whole number from 1 to 1000.");
        assert_eq!(message("what=history&cursor=1_x"), "cursor is not one this export returned.");
        assert_eq!(
            message("what=runs&from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z"),
            "to must not be before from."
        );
        let (format, filter) = read(&parameters("what=history&to=2026-02-01T01:00:00%2B01:00")).expect("fit");
        assert_eq!((format, filter.what, filter.limit), (Format::Csv, What::History, 1000));
        assert_eq!((filter.from, filter.to), (None, "2026-02-01T00:00:00Z".parse().ok()));
    }

    #[test]
    fn the_next_page_is_of_the_same_and_can_stand_in_a_header() {
        let asked = parameters("what=runs&limit=5&from=2026-02-01T01:00:00%2B01:00&cursor=1_2");
        assert_eq!(
            next(&asked, "3_4"),
            "what=runs&from=2026-02-01T01%3A00%3A00%2B01%3A00&limit=5&cursor=3_4"
        );
    }
}
