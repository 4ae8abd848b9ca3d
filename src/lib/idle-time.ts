/**
 * Keeps Bun.serve from closing connections that are silent. Its types know `idleTimeout` only for
 * TCP, but it counts on unix sockets too, and `server.timeout(request, 0)` does not reach a response
 * that streams.
 */
export const unlimitedIdleTime = { idleTimeout: 0 } as object;
