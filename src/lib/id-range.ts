/**
 * Each app has 65,536 user ids of the host to itself. They begin above what systemd hands out to
 * its containers (it ends at 1,879,048,191).
 */
const firstId = 0x7000_0000;
const rangeSize = 65_536;
const rangeCount = Math.floor((0xffff_0000 - firstId) / rangeSize);

/** Only root can give files and processes to others: without it, all apps are this server's own user. */
const onlyId = process.getuid?.() || undefined;

/** The host id that is 0 (root) inside the app's containers. */
export function hostIdBase(idRange: number): number {
  if (onlyId !== undefined) return onlyId;
  if (idRange >= rangeCount)
    throw new Error(`no user ids are left for another app: all ${rangeCount} ranges are taken`);
  return firstId + idRange * rangeSize;
}

/** For what is tried out before it is any app's: the last range, which an app gets when all others are taken. */
export function trialIdBase(): number {
  return hostIdBase(rangeCount - 1);
}

/** The host id of the unprivileged user that dynos and builds run as. */
export function hostUserId(idRange: number): number {
  return onlyId ?? hostIdBase(idRange) + 1000;
}

/**
 * Whose the files of an image are that all apps share: nobody's, in every container. An id behind the last range,
 * another one for each image: what one tries while it is unpacked, it can do to no other.
 */
export function sharedImageId(): number {
  const first = firstId + rangeCount * rangeSize;
  return onlyId ?? first + Math.floor(Math.random() * 65_500);
}
