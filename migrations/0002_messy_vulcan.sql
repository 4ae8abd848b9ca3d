CREATE TABLE `app_transfers` (
	`id` text PRIMARY KEY NOT NULL,
	`appId` text NOT NULL,
	`ownerId` text NOT NULL,
	`recipientId` text NOT NULL,
	`state` text NOT NULL,
	`createdAt` integer NOT NULL,
	`updatedAt` integer NOT NULL,
	FOREIGN KEY (`appId`) REFERENCES `apps`(`id`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`ownerId`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`recipientId`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `collaborators` (
	`id` text PRIMARY KEY NOT NULL,
	`appId` text NOT NULL,
	`accountId` text NOT NULL,
	`createdAt` integer NOT NULL,
	`updatedAt` integer NOT NULL,
	FOREIGN KEY (`appId`) REFERENCES `apps`(`id`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`accountId`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `collaborators_appId_accountId_unique` ON `collaborators` (`appId`,`accountId`);--> statement-breakpoint
CREATE TABLE `oauth_clients` (
	`id` text PRIMARY KEY NOT NULL,
	`accountId` text NOT NULL,
	`name` text NOT NULL,
	`redirectUri` text NOT NULL,
	`secretSha256` text NOT NULL,
	`createdAt` integer NOT NULL,
	`updatedAt` integer NOT NULL,
	FOREIGN KEY (`accountId`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `oauth_clients_secretSha256_unique` ON `oauth_clients` (`secretSha256`);--> statement-breakpoint
CREATE TABLE `password_resets` (
	`id` text PRIMARY KEY NOT NULL,
	`accountId` text NOT NULL,
	`sha256` text NOT NULL,
	`expiresAt` integer NOT NULL,
	`createdAt` integer NOT NULL,
	FOREIGN KEY (`accountId`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `password_resets_sha256_unique` ON `password_resets` (`sha256`);--> statement-breakpoint
CREATE TABLE `ssh_keys` (
	`id` text PRIMARY KEY NOT NULL,
	`accountId` text NOT NULL,
	`publicKey` text NOT NULL,
	`fingerprint` text NOT NULL,
	`comment` text NOT NULL,
	`createdAt` integer NOT NULL,
	FOREIGN KEY (`accountId`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `ssh_keys_accountId_fingerprint_unique` ON `ssh_keys` (`accountId`,`fingerprint`);--> statement-breakpoint
ALTER TABLE `accounts` ADD `name` text;--> statement-breakpoint
ALTER TABLE `accounts` ADD `passwordHash` text;--> statement-breakpoint
ALTER TABLE `accounts` ADD `sealedCodeSecret` blob;--> statement-breakpoint
ALTER TABLE `accounts` ADD `secondFactorAt` integer;--> statement-breakpoint
ALTER TABLE `accounts` ADD `lastCodeStep` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `recoveryCodes` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `allowTracking` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `beta` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `preferences` text DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `lastLoginAt` integer;--> statement-breakpoint
ALTER TABLE `accounts` ADD `closedAt` integer;--> statement-breakpoint
ALTER TABLE `accounts` ADD `updatedAt` integer;--> statement-breakpoint
ALTER TABLE `tokens` ADD `hint` text;--> statement-breakpoint
ALTER TABLE `tokens` ADD `scope` text DEFAULT '["global"]' NOT NULL;--> statement-breakpoint
ALTER TABLE `tokens` ADD `isSession` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `tokens` ADD `clientId` text REFERENCES oauth_clients(id);--> statement-breakpoint
ALTER TABLE `tokens` ADD `refreshSha256` text;--> statement-breakpoint
ALTER TABLE `tokens` ADD `grantSha256` text;--> statement-breakpoint
ALTER TABLE `tokens` ADD `grantExpiresAt` integer;--> statement-breakpoint
ALTER TABLE `tokens` ADD `expiresAt` integer;--> statement-breakpoint
ALTER TABLE `tokens` ADD `lastUsedAt` integer;--> statement-breakpoint
ALTER TABLE `tokens` ADD `updatedAt` integer;--> statement-breakpoint
CREATE UNIQUE INDEX `tokens_refreshSha256_unique` ON `tokens` (`refreshSha256`);--> statement-breakpoint
CREATE UNIQUE INDEX `tokens_grantSha256_unique` ON `tokens` (`grantSha256`);