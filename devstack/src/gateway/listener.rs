//! Accepts connections without Nagle's delay (40 ms a request otherwise), and with request targets read as leniently
//! as PostgREST's server reads them.

use std::net::SocketAddr;
use std::time::Duration;

use postrust_server::lenient_uri::LenientStream;
use tokio::net::{TcpListener, TcpStream};

pub(super) struct Listener(pub(super) TcpListener);

impl axum::serve::Listener for Listener {
    type Io = LenientStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((stream, address)) = self.0.accept().await {
                stream.set_nodelay(true).ok();
                return (LenientStream::new(stream), address);
            }
            // Out of file descriptors, most likely: others will be given back.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}
