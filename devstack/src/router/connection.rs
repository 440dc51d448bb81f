//! Connections to functions on which the answer wins over a request that could not be sent to its end.
//!
//! A function may answer before it has read the body, and close the connection. Writing fails from then on, while the answer
//! is there to be read; hyper gives up at the failed write and never sees it. On these connections a failed write stays
//! pending instead, so that reading decides: it finds the answer, or the end of the connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http::Uri;
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service;

/// Connects to the host and port of a URI.
#[derive(Debug, Clone)]
pub(super) struct Connector;

/// A connection on which writing never fails.
#[derive(Debug)]
pub(super) struct FunctionStream {
    stream: TcpStream,
    /// Whether a write has failed; no other is tried after that.
    broken: bool,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<FunctionStream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        async move {
            let authority = uri.authority().ok_or(io::ErrorKind::InvalidInput)?;
            let stream = TcpStream::connect(authority.as_str()).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(FunctionStream { stream, broken: false }))
        }
        .boxed()
    }
}

impl Connection for FunctionStream {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl FunctionStream {
    fn write(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.broken {
            return Poll::Pending;
        }
        match write(Pin::new(&mut self.stream), context) {
            Poll::Ready(Err(_)) => {
                self.broken = true;
                // hyper reads before it writes: wake it once more to read what was answered since.
                context.waker().wake_by_ref();
                Poll::Pending
            }
            written => written,
        }
    }
}

impl AsyncWrite for FunctionStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(context, |stream, context| stream.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncRead for FunctionStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}
