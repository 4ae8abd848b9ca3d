/** The times and sizes of the router; Heroku's values (contract §3.1, §3.2) unless said otherwise. */
export interface RouterLimits {
  /** To open a connection to a dyno. */
  connectMs: number;
  /** How long a dyno that could not be reached is left out. */
  quarantineMs: number;
  connectAttempts: number;
  /** How long a connection to a dyno waits for the next request; ours (Heroku's is 90 s). */
  reuseMs: number;
  /** How long a request waits for a dyno that is starting. */
  bootMs: number;
  /** From the end of the request to the first byte of the response. */
  firstByteMs: number;
  /** Silence on both sides that ends a request under way, or a tunnel. */
  idleMs: number;
  /** Silence between two requests of one client connection. */
  keepAliveMs: number;
  /** For a whole request head; ours, against clients that send a byte a minute. */
  headMs: number;
  /** How long a client may take in nothing more, or not close, after our last response; ours. */
  lingerMs: number;
  /** The same for a dyno, and for idle clients when the router stops; ours. */
  lastWordMs: number;
  /** How long a connection may stay without a request when the router stops; ours. */
  quietMs: number;
  /** How long requests and tunnels may go on after the router was told to stop; ours. */
  stopMs: number;
  /** Client connections of one process; more are answered with H22 and closed. Ours. */
  connections: number;
  /** Requests in flight of one app, for each of its web dynos. */
  requestsPerDyno: number;
}

export const herokuLimits: RouterLimits = {
  connectMs: 5_000,
  quarantineMs: 5_000,
  connectAttempts: 10,
  reuseMs: 4_000,
  bootMs: 75_000,
  firstByteMs: 30_000,
  idleMs: 55_000,
  keepAliveMs: 60_000,
  headMs: 30_000,
  lingerMs: 30_000,
  lastWordMs: 2_000,
  quietMs: 1_000,
  stopMs: 30_000,
  connections: 50_000,
  requestsPerDyno: 200,
};
