/**
 * Ports are shared with a predecessor of the same folder and among workers, and with nobody else:
 * two strangers on one port would each get half of the requests, and neither would be told.
 */
export function refuseTakenPorts(settings: {
  host: string;
  http: number | null;
  https: number | null;
  /** Those that a predecessor has. */
  except: readonly number[];
}): void {
  for (const port of [settings.http, settings.https])
    if (port !== null && port !== 0 && !settings.except.includes(port))
      Bun.listen({ hostname: settings.host, port, socket: { data() {} } }).stop();
}
